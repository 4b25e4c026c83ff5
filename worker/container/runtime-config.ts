/** From a container's documents to everything that the runtime has to know. */
import type { ContainerDocument, Mount } from '../../types/index.ts';
import { withDevices, type DeviceEdits } from '../device/index.ts';
import { parseSeccompFile } from '../runtime/oci/seccomp-file.ts';
import type { ContainerConfig, StandaloneConfig } from '../runtime/runtime.ts';
import { logConfigOf, resolveHealthCheck, type ResolvedHealthCheck } from '../task/index.ts';
import { blockIoOf } from './block-io.ts';
import type { ContainerRecord } from './view.ts';

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is known only when it is started. */
interface Placement {
  readonly network: ContainerConfig['network'];
  readonly files: ContainerConfig['files'];
  /** Of the containers that it is linked to. */
  readonly env: readonly string[];
  readonly logPath: string;
  readonly mounts: readonly Mount[];
  /** What it needs for the devices that it asked for by name or number. */
  readonly devices: DeviceEdits;
  /** Of the container whose processes it is to see. */
  readonly pidNamespace?: string;
  readonly consoleSize?: { readonly width: number; readonly height: number };
}

export function runtimeConfig(record: ContainerRecord, placement: Placement): ContainerConfig {
  const { id, config, host } = record;
  const security = host.securityOpt ?? [];
  const own: ContainerConfig = {
    id,
    labels: config.labels ?? {},
    image: record.rootfs,
    argv: record.argv,
    env: envOf(record, placement.env),
    workdir: config.workingDir || '/',
    user: config.user,
    groups: host.groupAdd ?? [],
    hostname: config.hostname,
    tty: config.tty,
    openStdin: config.openStdin,
    readOnlyRootfs: host.readonlyRootfs,
    init: host.init ?? false,
    mounts: placement.mounts,
    files: placement.files,
    resources: {
      limits: {
        ...(host.nanoCpus > 0 ? { nanoCpus: host.nanoCpus } : {}),
        ...(host.memory > 0 ? { memoryBytes: host.memory } : {}),
        ...(host.pidsLimit === null || host.pidsLimit <= 0 ? {} : { pids: host.pidsLimit }),
      },
      ...(host.memoryReservation > 0
        ? { reservations: { memoryBytes: host.memoryReservation } }
        : {}),
      ...(host.memorySwappiness === null ? {} : { memorySwappiness: host.memorySwappiness }),
    },
    oomScoreAdj: host.oomScoreAdj,
    capabilityAdd: host.capAdd ?? [],
    capabilityDrop: host.capDrop ?? [],
    sysctls: host.sysctls ?? {},
    ulimits: host.ulimits ?? [],
    noNewPrivileges: security.some((option) => /^no-new-privileges(?:[=:]true)?$/.test(option)),
    seccompUnconfined: security.some((option) => /^seccomp[=:]unconfined$/.test(option)),
    network: placement.network,
    stopSignal: config.stopSignal || 'SIGTERM',
    log: logOf(record),
    more: moreOf(record, placement),
  };
  return withDevices(own, placement.devices);
}

function moreOf(record: ContainerRecord, placement: Placement): StandaloneConfig {
  const { id, config, host } = record;
  const { pidMode, ipcMode, utsMode, cgroupnsMode } = host;
  const namespaces: Record<string, string> = {
    ...(pidMode === 'host' ? { pid: 'host' } : {}),
    ...(placement.pidNamespace === undefined ? {} : { pid: placement.pidNamespace }),
    ...(ipcMode === 'host' ? { ipc: 'host' } : {}),
    ...(utsMode === 'host' ? { uts: 'host' } : {}),
    ...(cgroupnsMode === 'host' ? { cgroup: 'host' } : {}),
  };
  return {
    layer: id,
    logPath: placement.logPath,
    attachable: true,
    domainname: config.domainname,
    privileged: host.privileged,
    ...seccompFileOf(host),
    devices: (host.devices ?? []).map((device) => ({
      pathOnHost: device.pathOnHost,
      pathInContainer: device.pathInContainer || device.pathOnHost,
      permissions: device.cgroupPermissions,
    })),
    deviceRules: host.deviceCgroupRules ?? [],
    shmBytes: host.shmSize,
    namespaces,
    maskedPaths: host.maskedPaths ?? [],
    readonlyPaths: host.readonlyPaths ?? [],
    cpu: {
      shares: host.cpuShares,
      periodUs: host.cpuPeriod,
      quotaUs: host.cpuQuota,
      cpus: host.cpusetCpus,
      mems: host.cpusetMems,
    },
    ...(host.memorySwap === 0 ? {} : { memorySwapBytes: host.memorySwap }),
    ...(host.oomKillDisable ? { oomKillDisable: true } : {}),
    blockIo: blockIoOf(host),
    cgroupParent: host.cgroupParent,
    ...(host.annotations === undefined ? {} : { annotations: host.annotations }),
    ...(placement.consoleSize === undefined ? {} : { consoleSize: placement.consoleSize }),
  };
}

function seccompFileOf({ securityOpt }: ContainerRecord['host']) {
  const prefix = /^seccomp[=:](?!unconfined$|builtin$)/;
  const own = securityOpt?.find((option) => prefix.test(option));
  return own === undefined ? {} : { seccomp: parseSeccompFile(own.replace(prefix, '')) };
}

function envOf({ config }: ContainerRecord, linked: readonly string[]): readonly string[] {
  const own = [defaultPath, `HOSTNAME=${config.hostname}`, ...(config.tty ? ['TERM=xterm'] : [])];
  const merged = new Map<string, string>();
  for (const entry of [...own, ...linked, ...(config.env ?? [])]) {
    const name = entry.split('=', 1)[0] ?? '';
    if (entry.includes('=')) merged.set(name, entry);
    else merged.delete(name);
  }
  return [...merged.values()];
}

type Logged = Partial<Pick<ContainerRecord, 'id' | 'name' | 'argv' | 'imageId' | 'config'>> &
  Pick<ContainerRecord, 'host'>;

/** Throws `invalid-argument` for what the log driver does not know. */
export function logOf({ id = '', name = '', argv = [], imageId = '', config, host }: Logged) {
  const { type, config: options } = host.logConfig;
  return logConfigOf(
    { name: type, options },
    {
      id,
      name,
      argv,
      imageId,
      imageName: config?.image ?? '',
      env: config?.env ?? [],
      labels: config?.labels ?? {},
    },
  );
}

export function healthCheckOf({
  healthcheck,
  shell,
}: Pick<ContainerDocument, 'healthcheck' | 'shell'>): ResolvedHealthCheck | undefined {
  return resolveHealthCheck(healthcheck, undefined, shell);
}

/** Of the terminal: what a client has asked for, or what the container was made with. */
export function consoleSizeOf(
  asked: { readonly width: number; readonly height: number } | undefined,
  [height = 0, width = 0]: readonly number[],
) {
  if (asked !== undefined) return { consoleSize: asked };
  return height > 0 && width > 0 ? { consoleSize: { width, height } } : {};
}
