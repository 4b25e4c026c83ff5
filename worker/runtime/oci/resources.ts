/** The limits of a container's cgroup. */
import type { Resources } from '../../../types/index.ts';

export interface OciResources {
  readonly devices: readonly {
    readonly allow: boolean;
    readonly access: string;
    readonly type?: 'c' | 'b';
    readonly major?: number;
    readonly minor?: number;
  }[];
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    readonly swap?: number;
    readonly swappiness?: number;
  };
  readonly cpu?: { readonly quota: number; readonly period: number };
  readonly pids?: { readonly limit: number };
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

function memoryOf(
  wanted: Resources,
  host: { readonly swapLimit: boolean; readonly cgroupVersion: 1 | 2 },
): OciResources['memory'] | undefined {
  const limit = wanted.limits?.memoryBytes;
  const reservation = wanted.reservations?.memoryBytes;
  const swappiness = host.cgroupVersion === 1 ? wanted.memorySwappiness : undefined;
  if (!limit && !reservation && swappiness === undefined) return undefined;
  return {
    ...(limit ? { limit } : {}),
    ...(limit && host.swapLimit ? { swap: swapOf(limit, wanted.swapBytes) } : {}),
    ...(reservation ? { reservation } : {}),
    ...(swappiness === undefined || swappiness < 0 ? {} : { swappiness }),
  };
}

/** Memory and swap together; as much swap as memory where the spec says nothing, as Docker does. */
function swapOf(limitBytes: number, swapBytes: number | undefined): number {
  if (swapBytes === undefined) return limitBytes * 2;
  return swapBytes < 0 ? -1 : limitBytes + swapBytes;
}
