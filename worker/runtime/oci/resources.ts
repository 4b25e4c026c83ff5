/** The limits of a container's cgroup. */
import { SwarmError } from '../../../lib/errors.ts';
import type { Resources } from '../../../types/index.ts';
import type { StandaloneConfig } from '../runtime.ts';

/** A device that is made in the container's /dev. */
export interface OciDevice {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of "rwm"; for the cgroup. */
  readonly access: string;
}

export interface OciResources {
  readonly devices: readonly {
    readonly allow: boolean;
    readonly access: string;
    readonly type?: 'a' | 'b' | 'c';
    readonly major?: number;
    readonly minor?: number;
  }[];
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    readonly swap?: number;
    readonly swappiness?: number;
    readonly disableOOMKiller?: boolean;
  };
  readonly cpu?: {
    readonly quota?: number;
    readonly period?: number;
    readonly shares?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly pids?: { readonly limit: number };
  readonly blockIO?: OciBlockIo;
}

interface OciThrottle {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

export interface OciBlockIo {
  readonly weight?: number;
  readonly weightDevice?: readonly {
    readonly major: number;
    readonly minor: number;
    readonly weight: number;
  }[];
  readonly throttleReadBpsDevice?: readonly OciThrottle[];
  readonly throttleWriteBpsDevice?: readonly OciThrottle[];
  readonly throttleReadIOPSDevice?: readonly OciThrottle[];
  readonly throttleWriteIOPSDevice?: readonly OciThrottle[];
}

const cpuPeriodUs = 100_000;
/** The kernel refuses quotas under a millisecond. */
const cpuQuotaUsMin = 1000;

/** mknod of all, use of: null, zero, full, random, urandom, tty, console, ptmx and pts only. */
const devices: OciResources['devices'] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...(
    [
      [1, 3],
      [1, 5],
      [1, 7],
      [1, 8],
      [1, 9],
      [5, 0],
      [5, 1],
      [5, 2],
    ] as const
  ).map(([major, minor]) => ({
    allow: true,
    type: 'c' as const,
    major,
    minor,
    access: 'rwm',
  })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

/** `swapLimit`: the kernel can limit swap; where it cannot, Docker leaves the limit out too. */
export function resourcesOf(
  wanted: Resources,
  host: { readonly swapLimit: boolean; readonly cgroupVersion: 1 | 2 },
): OciResources {
  const { limits = {} } = wanted;
  const memory = memoryOf(wanted, host);
  return {
    devices,
    ...(memory === undefined ? {} : { memory }),
    ...(limits.nanoCpus
      ? {
          cpu: {
            quota: Math.max(cpuQuotaUsMin, Math.round((limits.nanoCpus * cpuPeriodUs) / 1e9)),
            period: cpuPeriodUs,
          },
        }
      : {}),
    ...(limits.pids ? { pids: { limit: limits.pids } } : {}),
  };
}

/** The limits that only standalone containers have, on top of the others. */
export function tunedResources(
  base: OciResources,
  more: StandaloneConfig,
  given: readonly OciDevice[],
): OciResources {
  const { shares, periodUs, quotaUs, cpus, mems } = more.cpu ?? {};
  const cpu = {
    ...base.cpu,
    ...(shares ? { shares } : {}),
    ...(periodUs ? { period: periodUs } : {}),
    ...(quotaUs ? { quota: quotaUs } : {}),
    ...(cpus ? { cpus } : {}),
    ...(mems ? { mems } : {}),
  };
  const memory = {
    ...base.memory,
    ...(more.memorySwapBytes === undefined || base.memory?.swap === undefined
      ? {}
      : { swap: more.memorySwapBytes }),
    ...(more.oomKillDisable ? { disableOOMKiller: true } : {}),
  };
  const rules = given.map(({ type, major, minor, access }) => ({
    allow: true,
    type,
    major,
    minor,
    access,
  }));
  return {
    ...base,
    devices: more.privileged
      ? [{ allow: true, access: 'rwm' }]
      : [...base.devices, ...rules, ...(more.deviceRules ?? []).map(deviceRule)],
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
  };
}

/** "c 42:* rmw": a type, numbers of which each may be a star, and what is allowed. */
function deviceRule(text: string): OciResources['devices'][number] {
  const [, type, major, minor, access = ''] =
    /^([abc]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined) {
    throw new SwarmError('invalid-argument', `invalid device cgroup rule format: '${text}'`);
  }
  return {
    allow: true,
    type: type as 'a' | 'b' | 'c',
    access,
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
  };
}

function memoryOf(
  wanted: Resources,
  host: { readonly swapLimit: boolean; readonly cgroupVersion: 1 | 2 },
): OciResources['memory'] | undefined {
  const limit = wanted.limits?.memoryBytes;
  const reservation = wanted.reservations?.memoryBytes;
  const { swapBytes, memorySwappiness: swappiness } = wanted;
  if (swapBytes !== undefined && !host.swapLimit) {
    throw new SwarmError(
      'failed-precondition',
      "this node's kernel does not limit swap: start it with swapaccount=1, or leave the limit out",
    );
  }
  if (swappiness !== undefined && swappiness >= 0 && host.cgroupVersion === 2) {
    throw new SwarmError(
      'failed-precondition',
      'this node has cgroups of version 2, which have no memory swappiness: leave it out',
    );
  }
  if (!limit && !reservation && swappiness === undefined) return undefined;
  return {
    ...(limit ? { limit } : {}),
    ...(limit && host.swapLimit ? { swap: swapOf(limit, swapBytes) } : {}),
    ...(reservation ? { reservation } : {}),
    ...(swappiness === undefined || swappiness < 0 ? {} : { swappiness }),
  };
}

/** Memory and swap together; as much swap as memory where the spec says nothing, as Docker does. */
function swapOf(limitBytes: number, swapBytes: number | undefined): number {
  if (swapBytes === undefined) return limitBytes * 2;
  return swapBytes < 0 ? -1 : limitBytes + swapBytes;
}
