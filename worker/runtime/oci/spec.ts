/** Builds the OCI runtime specification of a container: what crun or runc is given. Pure. */
import { SwarmError } from '../../../lib/errors.ts';
import type { ContainerConfig, OciHook } from '../runtime.ts';
import { allCapabilities, capabilitiesOf } from '../../../lib/capabilities.ts';
import { initTarget, mountsOf, type OciMount } from './mounts.ts';
import {
  resourcesOf,
  tunedResources,
  type OciBlockIo,
  type OciDevice,
  type OciResources,
} from './resources.ts';
import { seccompOf, type SeccompFile } from './seccomp-file.ts';
import { seccompProfile, type Seccomp } from './seccomp.ts';
import { withHome, withOwnGroup, type ResolvedUser } from './user.ts';
import { checkWords } from './words.ts';

/** The facts about host, image and placement that the configuration does not hold. */
export interface SpecContext {
  readonly user: ResolvedUser;
  /** Absolute, below the cgroup root. */
  readonly cgroupsPath: string;
  readonly cgroupVersion: 1 | 2;
  readonly swapLimit: boolean;
  /** Containers of the same group share a shim. */
  readonly shimGroup: string;
  /** A static init on the host, if there is one. */
  readonly initPath: string | undefined;
  /** Node's name: x64, arm64 … */
  readonly architecture: string;
  /** The kernel's version, as it tells it. */
  readonly kernel: string;
  /** The path at which the OCI runtime finds the network namespace. */
  readonly netnsPath: string | undefined;
  /** Of the host, as the container is to have them. */
  readonly devices?: readonly OciDevice[];
  readonly blockIo?: OciBlockIo | undefined;
  /** What there is to give to a privileged container; absent: all. */
  readonly capabilities?: readonly string[];
}

export interface OciProcess {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly width: number; readonly height: number };
  readonly user: ResolvedUser;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<Record<string, readonly string[]>>;
  readonly rlimits: readonly {
    readonly type: string;
    readonly soft: number;
    readonly hard: number;
  }[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj: number;
}

export interface OciSpec {
  readonly ociVersion: string;
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly OciMount[];
  readonly hooks?: Readonly<Record<string, readonly OciHook[]>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: {
    readonly resources: OciResources;
    readonly devices?: readonly OciDevice[];
    readonly cgroupsPath: string;
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly seccomp?: Seccomp;
    readonly sysctl: Readonly<Record<string, string>>;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly rootfsPropagation?: string;
  };
}

export const shimGroupAnnotation = 'io.containerd.runc.v2.group';

/** Docker's: what a container that is not privileged does not see, and what it only reads. */
export const maskedPaths: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
export const readonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/** Safe inside a network namespace of its own: ports below 1024 and ping for every user. */
const networkSysctls = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
};

/** Throws SwarmError `invalid-argument` or `unimplemented` for what cannot be run. */
export function ociSpec(config: ContainerConfig, context: SpecContext): OciSpec {
  const process = processOf(config, context);
  const { more = {} } = config;
  const ownNetwork = config.network.kind === 'path';
  const propagation = rootfsPropagation(config);
  const hasUts = more.namespaces?.uts !== 'host';
  const { devices = [] } = context;
  return {
    ociVersion: '1.0.2',
    process,
    root: { path: 'rootfs', readonly: config.readOnlyRootfs },
    ...(hasUts ? { hostname: config.hostname } : {}),
    ...(hasUts && more.domainname ? { domainname: more.domainname } : {}),
    mounts: mountsOf(config, context.initPath),
    ...(more.hooks === undefined ? {} : { hooks: more.hooks }),
    annotations: { ...more.annotations, [shimGroupAnnotation]: context.shimGroup },
    linux: {
      resources: {
        ...tunedResources(resourcesOf(config.resources, context), more, devices),
        ...(context.blockIo === undefined ? {} : { blockIO: context.blockIo }),
      },
      ...(devices.length === 0 ? {} : { devices }),
      cgroupsPath: context.cgroupsPath,
      namespaces: namespacesOf(config, context),
      ...(config.seccompUnconfined || (more.privileged && more.seccomp === undefined)
        ? {}
        : { seccomp: seccompFor(process.capabilities['bounding'] ?? [], more.seccomp, context) }),
      sysctl: { ...(ownNetwork ? networkSysctls : {}), ...config.sysctls },
      maskedPaths: more.maskedPaths ?? (more.privileged ? [] : maskedPaths),
      readonlyPaths: more.readonlyPaths ?? (more.privileged ? [] : readonlyPaths),
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
    },
  };
}

/** Docker's own profile, unless there is another. */
function seccompFor(
  capabilities: readonly string[],
  file: SeccompFile | undefined,
  { architecture, kernel }: SpecContext,
): Seccomp {
  if (file === undefined) return seccompProfile(capabilities, architecture);
  return seccompOf(file, { capabilities, architecture, kernel });
}

function namespacesOf(
  { more = {} }: ContainerConfig,
  context: SpecContext,
): OciSpec['linux']['namespaces'] {
  const kinds = ['uts', 'pid', 'ipc', ...(context.cgroupVersion === 2 ? ['cgroup'] : [])] as const;
  const own = kinds.flatMap((type) => {
    const choice = more.namespaces?.[type as 'pid'];
    if (choice === 'host') return [];
    return [choice === undefined ? { type } : { type, path: choice }];
  });
  const network =
    context.netnsPath === undefined ? [] : [{ type: 'network', path: context.netnsPath }];
  return [{ type: 'mount' }, ...own, ...network];
}

function processOf(config: ContainerConfig, context: SpecContext): OciProcess {
  const [command] = config.argv;
  if (command === undefined || command === '') {
    throw new SwarmError('invalid-argument', 'no command specified');
  }
  checkWords(config.argv, config.env, context.architecture);
  const { privileged, consoleSize } = config.more ?? {};
  const capabilities = privileged
    ? (context.capabilities ?? allCapabilities)
    : capabilitiesOf(config.capabilityAdd, config.capabilityDrop);
  // As in Docker, only root holds the capabilities; others may gain them by setuid programs.
  const held = context.user.uid === 0 ? capabilities : [];
  return {
    terminal: config.tty,
    ...(config.tty && consoleSize !== undefined ? { consoleSize } : {}),
    user: withOwnGroup(context.user),
    args: config.init ? [initTarget, '--', ...config.argv] : config.argv,
    env: withHome(config.env, context.user),
    cwd: config.workdir === '' ? '/' : config.workdir,
    capabilities: { bounding: capabilities, effective: held, permitted: held },
    rlimits: config.ulimits.map(rlimitOf),
    noNewPrivileges: config.noNewPrivileges,
    oomScoreAdj: config.oomScoreAdj,
  };
}

function rlimitOf(limit: ContainerConfig['ulimits'][number]): OciProcess['rlimits'][number] {
  // -1 is "no limit"; the specification has unsigned numbers, and JSON numbers end at 2^53.
  const value = (number: number) => (number < 0 ? Number.MAX_SAFE_INTEGER : number);
  return {
    type: `RLIMIT_${limit.name.toUpperCase()}`,
    soft: value(limit.soft),
    hard: value(limit.hard),
  };
}

/** A bind mount that is shared with the host needs a root that lets mounts through. */
function rootfsPropagation(config: ContainerConfig): 'shared' | 'rslave' | undefined {
  const asked = config.mounts.map((mount) => mount.bindOptions?.propagation ?? 'rprivate');
  if (asked.some((word) => word === 'shared' || word === 'rshared')) return 'shared';
  return asked.some((word) => word === 'slave' || word === 'rslave') ? 'rslave' : undefined;
}

/** A process executed in a running container: as its first one, with another command. */
export function execProcess(first: OciProcess, argv: readonly string[]): OciProcess {
  return { ...first, args: argv, terminal: false };
}
