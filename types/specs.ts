/** What a user asks for: the specs of services, nodes and the swarm (Docker Engine API v1.50). */
import {
  boolean,
  durationMs,
  integer,
  list,
  oneOf,
  optional,
  record,
  required,
  string,
  struct,
  unsigned,
  type TypeOf,
} from './codec.ts';
import { networkAttachment, taskSpec, updateConfig } from './task-spec.ts';

export const portConfig = struct({
  name: optional('Name', string),
  protocol: required('Protocol', oneOf('tcp', 'udp', 'sctp'), 'tcp'),
  targetPort: required('TargetPort', unsigned, 0),
  /** 0 or absent: chosen by the swarm (ingress) or by the node (host). */
  publishedPort: optional('PublishedPort', unsigned),
  publishMode: required('PublishMode', oneOf('ingress', 'host'), 'ingress'),
});
export type PortConfig = TypeOf<typeof portConfig>;

const serviceMode = struct({
  replicated: optional('Replicated', struct({ replicas: optional('Replicas', unsigned) })),
  global: optional('Global', struct({})),
  replicatedJob: optional(
    'ReplicatedJob',
    struct({
      maxConcurrent: optional('MaxConcurrent', unsigned),
      totalCompletions: optional('TotalCompletions', unsigned),
    }),
  ),
  globalJob: optional('GlobalJob', struct({})),
});
export type ServiceMode = TypeOf<typeof serviceMode>;

export const serviceSpec = struct({
  name: required('Name', string, ''),
  labels: required('Labels', record(string), {}),
  task: required('TaskTemplate', taskSpec, { forceUpdate: 0 }),
  mode: required('Mode', serviceMode, {}),
  updateConfig: optional('UpdateConfig', updateConfig),
  rollbackConfig: optional('RollbackConfig', updateConfig),
  /** Deprecated by Docker in favour of TaskTemplate.Networks; read, and merged into it. */
  networks: optional('Networks', list(networkAttachment)),
  endpoint: optional(
    'EndpointSpec',
    struct({
      mode: optional('Mode', oneOf('vip', 'dnsrr')),
      ports: optional('Ports', list(portConfig)),
    }),
  ),
});
export type ServiceSpec = TypeOf<typeof serviceSpec>;

export const nodeSpec = struct({
  name: optional('Name', string),
  labels: required('Labels', record(string), {}),
  role: required('Role', oneOf('worker', 'manager'), 'worker'),
  availability: required('Availability', oneOf('active', 'pause', 'drain'), 'active'),
});
export type NodeSpec = TypeOf<typeof nodeSpec>;
export type NodeRole = NodeSpec['role'];

/**
 * A label of the swarm: `on-join` has services spread anew when a node joins or returns. Docker's
 * spec has no field for it.
 */
export const rebalanceLabel = 'ts-swarm.rebalance';

const externalCa = struct({
  /** Only `cfssl`. */
  protocol: required('Protocol', string, 'cfssl'),
  url: required('URL', string, ''),
  options: optional('Options', record(string)),
  /** The root that it signs with, PEM. */
  caCert: optional('CACert', string),
});
export type ExternalCa = TypeOf<typeof externalCa>;

export const swarmSpec = struct({
  name: required('Name', string, 'default'),
  labels: required('Labels', record(string), {}),
  orchestration: required(
    'Orchestration',
    struct({
      /** Old tasks kept for each slot; negative: all. */
      taskHistoryLimit: optional('TaskHistoryRetentionLimit', integer),
    }),
    {},
  ),
  raft: required(
    'Raft',
    struct({
      /** Log entries between snapshots. */
      snapshotInterval: optional('SnapshotInterval', unsigned),
      keepOldSnapshots: optional('KeepOldSnapshots', unsigned),
      logEntriesForSlowFollowers: optional('LogEntriesForSlowFollowers', unsigned),
      electionTick: optional('ElectionTick', integer),
      heartbeatTick: optional('HeartbeatTick', integer),
    }),
    {},
  ),
  dispatcher: required(
    'Dispatcher',
    struct({ heartbeatPeriodMs: optional('HeartbeatPeriod', durationMs) }),
    {},
  ),
  ca: required(
    'CAConfig',
    struct({
      nodeCertExpiryMs: optional('NodeCertExpiry', durationMs),
      externalCas: optional('ExternalCAs', list(externalCa)),
      signingCaCert: optional('SigningCACert', string),
      signingCaKey: optional('SigningCAKey', string),
      forceRotate: optional('ForceRotate', unsigned),
    }),
    {},
  ),
  taskDefaults: required(
    'TaskDefaults',
    struct({
      logDriver: optional(
        'LogDriver',
        struct({ name: optional('Name', string), options: optional('Options', record(string)) }),
      ),
    }),
    {},
  ),
  encryption: required(
    'EncryptionConfig',
    struct({ autoLockManagers: required('AutoLockManagers', boolean, false) }),
    { autoLockManagers: false },
  ),
});
export type SwarmSpec = TypeOf<typeof swarmSpec>;
