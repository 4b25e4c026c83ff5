/** Standalone containers: Docker's ContainerConfig and HostConfig (Engine API v1.50). */
import {
  boolean,
  integer,
  list,
  nullable,
  optional,
  record,
  required,
  string,
  struct,
  type Codec,
  type TypeOf,
} from './codec.ts';
import { deviceRequest } from './device-request.ts';
import { healthCheck, mount } from './task-spec.ts';

/** A command as a list, or as one string, which is then the whole of it. */
const words: Codec<readonly string[]> = {
  decode: (value, path) => (typeof value === 'string' ? [value] : list(string).decode(value, path)),
  encode: (value) => value,
};

/** A set of names, written as an object of empty objects. */
const names: Codec<readonly string[]> = {
  decode: (value, path) =>
    Object.keys(record({ decode: () => null, encode: () => ({}) }).decode(value, path)),
  encode: (value) => Object.fromEntries(value.map((name) => [name, {}])),
};

export const containerDocument = struct({
  hostname: required('Hostname', string, ''),
  domainname: required('Domainname', string, ''),
  user: required('User', string, ''),
  attachStdin: required('AttachStdin', boolean, false),
  attachStdout: required('AttachStdout', boolean, false),
  attachStderr: required('AttachStderr', boolean, false),
  /** "80/tcp". */
  exposedPorts: optional('ExposedPorts', names),
  tty: required('Tty', boolean, false),
  openStdin: required('OpenStdin', boolean, false),
  /** Its standard input ends with the first client that was attached to it. */
  stdinOnce: required('StdinOnce', boolean, false),
  env: required('Env', nullable(list(string)), null),
  cmd: required('Cmd', nullable(words), null),
  healthcheck: optional('Healthcheck', healthCheck),
  argsEscaped: optional('ArgsEscaped', boolean),
  image: required('Image', string, ''),
  volumes: required('Volumes', nullable(names), null),
  workingDir: required('WorkingDir', string, ''),
  entrypoint: required('Entrypoint', nullable(words), null),
  networkDisabled: optional('NetworkDisabled', boolean),
  macAddress: optional('MacAddress', string),
  onBuild: required('OnBuild', nullable(list(string)), null),
  labels: required('Labels', nullable(record(string)), null),
  stopSignal: optional('StopSignal', string),
  /** Seconds; -1: for ever. */
  stopTimeout: optional('StopTimeout', integer),
  shell: optional('Shell', list(string)),
});
export type ContainerDocument = TypeOf<typeof containerDocument>;

const portBinding = struct({
  hostIp: required('HostIp', string, ''),
  /** "8080", a range "8000-8010", or empty: any. */
  hostPort: required('HostPort', string, ''),
});

const device = struct({
  pathOnHost: required('PathOnHost', string, ''),
  pathInContainer: required('PathInContainer', string, ''),
  cgroupPermissions: required('CgroupPermissions', string, ''),
});

const weightDevice = struct({
  path: required('Path', string, ''),
  weight: required('Weight', integer, 0),
});
const throttleDevice = struct({
  path: required('Path', string, ''),
  rate: required('Rate', integer, 0),
});

const ulimit = struct({
  name: required('Name', string, ''),
  hard: required('Hard', integer, 0),
  soft: required('Soft', integer, 0),
});

const restartPolicy = struct({
  name: required('Name', string, ''),
  maximumRetryCount: required('MaximumRetryCount', integer, 0),
});
export type ContainerRestartPolicy = TypeOf<typeof restartPolicy>;

/** What `docker update` can change. */
const limits = {
  cpuShares: required('CpuShares', integer, 0),
  memory: required('Memory', integer, 0),
  nanoCpus: required('NanoCpus', integer, 0),
  cgroupParent: required('CgroupParent', string, ''),
  blkioWeight: required('BlkioWeight', integer, 0),
  blkioWeightDevice: required('BlkioWeightDevice', nullable(list(weightDevice)), null),
  blkioDeviceReadBps: required('BlkioDeviceReadBps', nullable(list(throttleDevice)), null),
  blkioDeviceWriteBps: required('BlkioDeviceWriteBps', nullable(list(throttleDevice)), null),
  blkioDeviceReadIops: required('BlkioDeviceReadIOps', nullable(list(throttleDevice)), null),
  blkioDeviceWriteIops: required('BlkioDeviceWriteIOps', nullable(list(throttleDevice)), null),
  cpuPeriod: required('CpuPeriod', integer, 0),
  cpuQuota: required('CpuQuota', integer, 0),
  cpuRealtimePeriod: required('CpuRealtimePeriod', integer, 0),
  cpuRealtimeRuntime: required('CpuRealtimeRuntime', integer, 0),
  cpusetCpus: required('CpusetCpus', string, ''),
  cpusetMems: required('CpusetMems', string, ''),
  devices: required('Devices', nullable(list(device)), null),
  deviceCgroupRules: required('DeviceCgroupRules', nullable(list(string)), null),
  deviceRequests: required('DeviceRequests', nullable(list(deviceRequest)), null),
  /** Nothing that Linux has any more. */
  kernelMemory: optional('KernelMemory', integer),
  kernelMemoryTcp: optional('KernelMemoryTCP', integer),
  memoryReservation: required('MemoryReservation', integer, 0),
  memorySwap: required('MemorySwap', integer, 0),
  memorySwappiness: required('MemorySwappiness', nullable(integer), null),
  oomKillDisable: required('OomKillDisable', nullable(boolean), null),
  pidsLimit: required('PidsLimit', nullable(integer), null),
  ulimits: required('Ulimits', nullable(list(ulimit)), null),
  cpuCount: required('CpuCount', integer, 0),
  cpuPercent: required('CpuPercent', integer, 0),
  ioMaximumIops: required('IOMaximumIOps', integer, 0),
  ioMaximumBandwidth: required('IOMaximumBandwidth', integer, 0),
} as const;

export const hostDocument = struct({
  binds: required('Binds', nullable(list(string)), null),
  containerIdFile: required('ContainerIDFile', string, ''),
  logConfig: required(
    'LogConfig',
    struct({
      type: required('Type', string, ''),
      config: required('Config', record(string), {}),
    }),
    { type: '', config: {} },
  ),
  networkMode: required('NetworkMode', string, ''),
  /** By "80/tcp". */
  portBindings: required('PortBindings', nullable(record(nullable(list(portBinding)))), null),
  restartPolicy: required('RestartPolicy', restartPolicy, { name: '', maximumRetryCount: 0 }),
  autoRemove: required('AutoRemove', boolean, false),
  volumeDriver: required('VolumeDriver', string, ''),
  volumesFrom: required('VolumesFrom', nullable(list(string)), null),
  /** Height, width. */
  consoleSize: required('ConsoleSize', list(integer), [0, 0]),
  annotations: optional('Annotations', record(string)),
  capAdd: required('CapAdd', nullable(list(string)), null),
  capDrop: required('CapDrop', nullable(list(string)), null),
  cgroupnsMode: required('CgroupnsMode', string, ''),
  dns: required('Dns', nullable(list(string)), null),
  dnsOptions: required('DnsOptions', nullable(list(string)), null),
  dnsSearch: required('DnsSearch', nullable(list(string)), null),
  extraHosts: required('ExtraHosts', nullable(list(string)), null),
  groupAdd: required('GroupAdd', nullable(list(string)), null),
  ipcMode: required('IpcMode', string, ''),
  cgroup: required('Cgroup', string, ''),
  links: required('Links', nullable(list(string)), null),
  oomScoreAdj: required('OomScoreAdj', integer, 0),
  pidMode: required('PidMode', string, ''),
  privileged: required('Privileged', boolean, false),
  publishAllPorts: required('PublishAllPorts', boolean, false),
  readonlyRootfs: required('ReadonlyRootfs', boolean, false),
  securityOpt: required('SecurityOpt', nullable(list(string)), null),
  storageOpt: optional('StorageOpt', record(string)),
  tmpfs: optional('Tmpfs', record(string)),
  utsMode: required('UTSMode', string, ''),
  usernsMode: required('UsernsMode', string, ''),
  shmSize: required('ShmSize', integer, 0),
  sysctls: optional('Sysctls', record(string)),
  runtime: optional('Runtime', string),
  isolation: required('Isolation', string, ''),
  ...limits,
  mounts: optional('Mounts', list(mount)),
  maskedPaths: required('MaskedPaths', nullable(list(string)), null),
  readonlyPaths: required('ReadonlyPaths', nullable(list(string)), null),
  init: optional('Init', boolean),
});
export type HostDocument = TypeOf<typeof hostDocument>;

export const endpointSettings = struct({
  aliases: required('Aliases', nullable(list(string)), null),
  links: required('Links', nullable(list(string)), null),
  driverOpts: required('DriverOpts', nullable(record(string)), null),
  macAddress: required('MacAddress', string, ''),
  gwPriority: required('GwPriority', integer, 0),
  ipamConfig: optional(
    'IPAMConfig',
    struct({
      ipv4Address: optional('IPv4Address', string),
      ipv6Address: optional('IPv6Address', string),
      linkLocalIps: optional('LinkLocalIPs', nullable(list(string))),
    }),
  ),
});
export type EndpointSettings = TypeOf<typeof endpointSettings>;

/** POST /networks/{id}/connect. */
export const connectDocument = struct({
  container: required('Container', string, ''),
  endpointConfig: required('EndpointConfig', nullable(endpointSettings), null),
});

/** POST /networks/{id}/disconnect. */
export const disconnectDocument = struct({
  container: required('Container', string, ''),
  force: required('Force', boolean, false),
});

/** The part of POST /containers/create beside the container's own document. */
export const createExtras = struct({
  hostConfig: required('HostConfig', hostDocument, hostDocument.decode({}, '')),
  networkingConfig: optional(
    'NetworkingConfig',
    struct({ endpointsConfig: optional('EndpointsConfig', record(nullable(endpointSettings))) }),
  ),
});
export type CreateExtras = TypeOf<typeof createExtras>;

/** Only a new container can have these. */
const updatelessLimits = {
  blkioWeightDevice: limits.blkioWeightDevice,
  blkioDeviceReadBps: limits.blkioDeviceReadBps,
  blkioDeviceWriteBps: limits.blkioDeviceWriteBps,
  blkioDeviceReadIops: limits.blkioDeviceReadIops,
  blkioDeviceWriteIops: limits.blkioDeviceWriteIops,
} as const;

/** POST /containers/{id}/update. What is absent stays as it is. */
export const updateDocument = struct({
  cpuShares: optional('CpuShares', integer),
  memory: optional('Memory', integer),
  nanoCpus: optional('NanoCpus', integer),
  blkioWeight: optional('BlkioWeight', integer),
  ...updatelessLimits,
  cpuPeriod: optional('CpuPeriod', integer),
  cpuQuota: optional('CpuQuota', integer),
  cpuRealtimePeriod: optional('CpuRealtimePeriod', integer),
  cpuRealtimeRuntime: optional('CpuRealtimeRuntime', integer),
  cpusetCpus: optional('CpusetCpus', string),
  cpusetMems: optional('CpusetMems', string),
  kernelMemory: optional('KernelMemory', integer),
  memoryReservation: optional('MemoryReservation', integer),
  memorySwap: optional('MemorySwap', integer),
  pidsLimit: optional('PidsLimit', integer),
  restartPolicy: optional('RestartPolicy', restartPolicy),
});
export type UpdateDocument = TypeOf<typeof updateDocument>;

/** POST /containers/{id}/exec. */
export const execDocument = struct({
  attachStdin: required('AttachStdin', boolean, false),
  attachStdout: required('AttachStdout', boolean, false),
  attachStderr: required('AttachStderr', boolean, false),
  detachKeys: required('DetachKeys', string, ''),
  tty: required('Tty', boolean, false),
  env: required('Env', list(string), []),
  cmd: required('Cmd', words, []),
  privileged: required('Privileged', boolean, false),
  user: required('User', string, ''),
  workingDir: required('WorkingDir', string, ''),
  consoleSize: optional('ConsoleSize', list(integer)),
});
export type ExecDocument = TypeOf<typeof execDocument>;

export const execStartDocument = struct({
  detach: required('Detach', boolean, false),
  tty: required('Tty', boolean, false),
  consoleSize: optional('ConsoleSize', list(integer)),
});
