/** What one task runs: Docker's TaskSpec (Engine API v1.50), declared once for reading and types. */
import {
  boolean,
  durationMs,
  float,
  integer,
  list,
  oneOf,
  optional,
  record,
  required,
  string,
  struct,
  unsigned,
  type Codec,
  type TypeOf,
} from './codec.ts';

export const driver = struct({
  name: optional('Name', string),
  options: optional('Options', record(string)),
});

export const mount = struct({
  type: required('Type', oneOf('bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image'), 'bind'),
  source: optional('Source', string),
  target: required('Target', string, ''),
  readOnly: optional('ReadOnly', boolean),
  consistency: optional('Consistency', string),
  bindOptions: optional(
    'BindOptions',
    struct({
      propagation: optional(
        'Propagation',
        oneOf('private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'),
      ),
      nonRecursive: optional('NonRecursive', boolean),
      createMountpoint: optional('CreateMountpoint', boolean),
      readOnlyNonRecursive: optional('ReadOnlyNonRecursive', boolean),
      readOnlyForceRecursive: optional('ReadOnlyForceRecursive', boolean),
    }),
  ),
  volumeOptions: optional(
    'VolumeOptions',
    struct({
      noCopy: optional('NoCopy', boolean),
      labels: optional('Labels', record(string)),
      subpath: optional('Subpath', string),
      driverConfig: optional('DriverConfig', driver),
    }),
  ),
  imageOptions: optional('ImageOptions', struct({ subpath: optional('Subpath', string) })),
  tmpfsOptions: optional(
    'TmpfsOptions',
    struct({
      sizeBytes: optional('SizeBytes', unsigned),
      mode: optional('Mode', unsigned),
      options: optional('Options', list(list(string))),
    }),
  ),
});
export type Mount = TypeOf<typeof mount>;

export const healthCheck = struct({
  /** Absent or empty: the image's own; ["NONE"]: none; ["CMD", …] or ["CMD-SHELL", "…"]. */
  test: optional('Test', list(string)),
  intervalMs: optional('Interval', durationMs),
  timeoutMs: optional('Timeout', durationMs),
  startPeriodMs: optional('StartPeriod', durationMs),
  startIntervalMs: optional('StartInterval', durationMs),
  retries: optional('Retries', integer),
});
export type HealthCheck = TypeOf<typeof healthCheck>;

const fileTarget = struct({
  name: required('Name', string, ''),
  uid: required('UID', string, '0'),
  gid: required('GID', string, '0'),
  mode: required('Mode', unsigned, 0o444),
});

const containerSpec = struct({
  image: required('Image', string, ''),
  labels: optional('Labels', record(string)),
  /** Replaces the image's entrypoint. */
  command: optional('Command', list(string)),
  args: optional('Args', list(string)),
  hostname: optional('Hostname', string),
  env: optional('Env', list(string)),
  dir: optional('Dir', string),
  user: optional('User', string),
  groups: optional('Groups', list(string)),
  privileges: optional(
    'Privileges',
    struct({
      credentialSpec: optional('CredentialSpec', record({ decode: (v) => v, encode: (v) => v })),
      seLinuxContext: optional('SELinuxContext', record({ decode: (v) => v, encode: (v) => v })),
      seccomp: optional('Seccomp', struct({ mode: optional('Mode', string) })),
      appArmor: optional('AppArmor', struct({ mode: optional('Mode', string) })),
      noNewPrivileges: optional('NoNewPrivileges', boolean),
    }),
  ),
  /** Run a minimal init as pid 1 that reaps and forwards signals. */
  init: optional('Init', boolean),
  stopSignal: optional('StopSignal', string),
  tty: optional('TTY', boolean),
  openStdin: optional('OpenStdin', boolean),
  readOnly: optional('ReadOnly', boolean),
  mounts: optional('Mounts', list(mount)),
  /** Between the stop signal and SIGKILL; 10 s where absent. */
  stopGracePeriodMs: optional('StopGracePeriod', durationMs),
  healthCheck: optional('Healthcheck', healthCheck),
  /** Lines of /etc/hosts: "address name [name…]". */
  hosts: optional('Hosts', list(string)),
  dnsConfig: optional(
    'DNSConfig',
    struct({
      nameservers: optional('Nameservers', list(string)),
      search: optional('Search', list(string)),
      options: optional('Options', list(string)),
    }),
  ),
  secrets: optional(
    'Secrets',
    list(
      struct({
        secretId: required('SecretID', string, ''),
        secretName: required('SecretName', string, ''),
        file: optional('File', fileTarget),
      }),
    ),
  ),
  configs: optional(
    'Configs',
    list(
      struct({
        configId: required('ConfigID', string, ''),
        configName: required('ConfigName', string, ''),
        file: optional('File', fileTarget),
        /** No file, but a setting of the runtime: Windows has such. */
        runtime: optional('Runtime', struct({})),
      }),
    ),
  ),
  isolation: optional('Isolation', string),
  sysctls: optional('Sysctls', record(string)),
  capabilityAdd: optional('CapabilityAdd', list(string)),
  capabilityDrop: optional('CapabilityDrop', list(string)),
  ulimits: optional(
    'Ulimits',
    list(
      struct({
        name: required('Name', string, ''),
        soft: required('Soft', integer, 0),
        hard: required('Hard', integer, 0),
      }),
    ),
  ),
  oomScoreAdj: optional('OomScoreAdj', integer),
});
export type ContainerSpec = TypeOf<typeof containerSpec>;

export const genericResource = struct({
  named: optional(
    'NamedResourceSpec',
    struct({ kind: required('Kind', string, ''), value: required('Value', string, '') }),
  ),
  discrete: optional(
    'DiscreteResourceSpec',
    struct({ kind: required('Kind', string, ''), value: required('Value', integer, 0) }),
  ),
});
export type GenericResource = TypeOf<typeof genericResource>;

const limits = struct({
  /** Billionths of a CPU. */
  nanoCpus: optional('NanoCPUs', integer),
  memoryBytes: optional('MemoryBytes', integer),
  pids: optional('Pids', integer),
});

const reservations = struct({
  nanoCpus: optional('NanoCPUs', integer),
  memoryBytes: optional('MemoryBytes', integer),
  genericResources: optional('GenericResources', list(genericResource)),
});

const resources = struct({
  limits: optional('Limits', limits),
  reservations: optional('Reservations', reservations),
  swapBytes: optional('SwapBytes', integer),
  memorySwappiness: optional('MemorySwappiness', integer),
});
export type Resources = TypeOf<typeof resources>;

export const restartPolicy = struct({
  condition: optional('Condition', oneOf('none', 'on-failure', 'any')),
  delayMs: optional('Delay', durationMs),
  /** 0 or absent: no limit. */
  maxAttempts: optional('MaxAttempts', unsigned),
  /** Attempts older than this do not count; 0 or absent: all count. */
  windowMs: optional('Window', durationMs),
});
export type RestartPolicy = TypeOf<typeof restartPolicy>;

const platform = struct({
  architecture: optional('Architecture', string),
  os: optional('OS', string),
});
export type Platform = TypeOf<typeof platform>;

const placement = struct({
  constraints: optional('Constraints', list(string)),
  preferences: optional(
    'Preferences',
    list(
      struct({
        spread: optional(
          'Spread',
          struct({ descriptor: required('SpreadDescriptor', string, '') }),
        ),
      }),
    ),
  ),
  /** Per node; 0 or absent: no limit. */
  maxReplicas: optional('MaxReplicas', unsigned),
  platforms: optional('Platforms', list(platform)),
});
export type Placement = TypeOf<typeof placement>;

export const networkAttachment = struct({
  /** A network's id or name on the way in; its id once validated. */
  target: required('Target', string, ''),
  aliases: optional('Aliases', list(string)),
  driverOpts: optional('DriverOpts', record(string)),
});
export type NetworkAttachment = TypeOf<typeof networkAttachment>;

const anything: Codec<unknown> = { decode: (value) => value, encode: (value) => value };

export const taskSpec = struct({
  container: optional('ContainerSpec', containerSpec),
  resources: optional('Resources', resources),
  restartPolicy: optional('RestartPolicy', restartPolicy),
  placement: optional('Placement', placement),
  networks: optional('Networks', list(networkAttachment)),
  logDriver: optional('LogDriver', driver),
  /** Raised by `service update --force`: another number is another spec. */
  forceUpdate: required('ForceUpdate', unsigned, 0),
  runtime: optional('Runtime', string),
  /** Not what tasks are made of here: read in order to be refused. */
  pluginSpec: optional('PluginSpec', anything),
  networkAttachmentSpec: optional('NetworkAttachmentSpec', anything),
});
export type TaskSpec = TypeOf<typeof taskSpec>;

export const updateConfig = struct({
  /** Tasks updated at once; 0: all. */
  parallelism: required('Parallelism', unsigned, 0),
  delayMs: optional('Delay', durationMs),
  failureAction: optional('FailureAction', oneOf('pause', 'continue', 'rollback')),
  monitorMs: optional('Monitor', durationMs),
  maxFailureRatio: required('MaxFailureRatio', float, 0),
  order: optional('Order', oneOf('stop-first', 'start-first')),
});
export type UpdateConfig = TypeOf<typeof updateConfig>;
