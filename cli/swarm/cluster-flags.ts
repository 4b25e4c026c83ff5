/** The flags that set the swarm's spec, shared by `init` and `swarm update`. */
import {
  allowDevicesLabel,
  allowPrivilegedLabel,
  rebalanceLabel,
  swarmSpec,
} from '../../types/index.ts';
import {
  bool,
  durationMs,
  integer,
  list,
  listOf,
  oneOf,
  text,
  unsigned,
  type FlagValues,
} from '../command/flags.ts';
import { readFileSync } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';
import { usageError } from '../command/errors.ts';
import { parseCsv, splitPair } from '../format/parse.ts';
import type { ExternalCa, SwarmSpec } from '../../types/index.ts';
import type { Draft } from '../service/draft.ts';

const allowDevices = bool('allow-devices', "Let services ask for nodes' devices");
const allowPrivileged = bool('allow-privileged', 'Let services ask for privileged containers');
export const autolock = bool(
  'autolock',
  'Enable manager autolocking (requiring an unlock key to start a stopped manager)',
);
const certExpiry = durationMs(
  'cert-expiry',
  'Validity period for node certificates (ns|us|ms|s|m|h)',
  { shownDefault: '2160h0m0s' },
);
const heartbeat = durationMs(
  'dispatcher-heartbeat',
  'Dispatcher heartbeat period (ns|us|ms|s|m|h)',
  {
    shownDefault: '5s',
  },
);
const externalCa = listOf(
  'external-ca',
  'Specifications of one or more certificate signing endpoints',
  parseExternalCa,
  { word: 'external-ca' },
);
const maxSnapshots = unsigned('max-snapshots', 'Number of additional Raft snapshots to retain');
const snapshotInterval = unsigned(
  'snapshot-interval',
  'Number of log entries between Raft snapshots',
  { shownDefault: '10000' },
);
const rebalance = oneOf(
  'rebalance',
  'When tasks are spread anew: "on-join" (a node joins or returns), "off"',
  ['on-join', 'off'] as const,
  { shownDefault: 'off' },
);
const taskHistory = integer('task-history-limit', 'Task history retention limit', {
  shownDefault: '5',
});

const taskLogDriver = text('task-log-driver', 'Logging driver of tasks whose services name none');
const taskLogOpt = list('task-log-opt', 'Options of that logging driver');

export const caFlags = [certExpiry, externalCa];
export const clusterFlags = [
  allowDevices,
  allowPrivileged,
  autolock,
  ...caFlags,
  heartbeat,
  maxSnapshots,
  rebalance,
  snapshotInterval,
  taskHistory,
  taskLogDriver,
  taskLogOpt,
];

/** `protocol=cfssl,url=https://…,cacert=path`. */
function parseExternalCa(text: string): ExternalCa {
  const fields = Object.fromEntries(
    parseCsv(text).map((field) => {
      const [key, value = ''] = splitPair(field);
      return [key.toLowerCase(), value];
    }),
  );
  if (fields['protocol'] !== 'cfssl')
    throw new Error('the external-ca option needs a protocol= parameter (cfssl)');
  if (!fields['url']) throw new Error('the external-ca option needs a url= parameter');
  const { protocol, url, cacert, ...options } = fields;
  return {
    protocol,
    url,
    ...(Object.keys(options).length === 0 ? {} : { options }),
    ...(cacert === undefined ? {} : { caCert: readCert(cacert) }),
  };
}

function readCert(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`unable to read CA cert for external CA: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Docker's JSON of a swarm's spec, with what the flags change. */
export function changedSpec(current: unknown, values: FlagValues): unknown {
  const spec = structuredClone(swarmSpec.decode(current, 'Spec')) as Draft<SwarmSpec>;
  const set = <T>(value: T | undefined, write: (value: T) => void) => {
    if (value !== undefined) write(value);
  };
  set(values.get(autolock), (value) => (spec.encryption.autoLockManagers = value));
  set(values.get(certExpiry), (value) => (spec.ca.nodeCertExpiryMs = value));
  set(values.get(externalCa), (value) => (spec.ca.externalCas = [...value]));
  set(values.get(heartbeat), (value) => (spec.dispatcher.heartbeatPeriodMs = value));
  set(values.get(maxSnapshots), (value) => (spec.raft.keepOldSnapshots = value));
  set(values.get(snapshotInterval), (value) => (spec.raft.snapshotInterval = value));
  set(values.get(taskHistory), (value) => (spec.orchestration.taskHistoryLimit = value));
  const options = values.get(taskLogOpt)?.map((option) => {
    const [key, value = ''] = splitPair(option);
    return [key, value] as const;
  });
  set(values.get(taskLogDriver), (name) => {
    if (name === '') delete spec.taskDefaults.logDriver;
    else spec.taskDefaults.logDriver = { name };
  });
  set(options, (entries) => {
    const { logDriver } = spec.taskDefaults;
    if (logDriver === undefined) throw usageError('--task-log-opt needs a --task-log-driver');
    logDriver.options = Object.fromEntries(entries);
  });
  // Docker's spec has no fields for these, and its CLI would send the spec back without them.
  const label = (key: string, value: string | undefined) => {
    if (value === undefined) delete spec.labels[key];
    else spec.labels[key] = value;
  };
  set(values.get(rebalance), (value) => {
    label(rebalanceLabel, value === 'off' ? undefined : value);
  });
  const allowed = (isAllowed: boolean) => (isAllowed ? 'true' : undefined);
  set(values.get(allowDevices), (value) => label(allowDevicesLabel, allowed(value)));
  set(values.get(allowPrivileged), (value) => label(allowPrivilegedLabel, allowed(value)));
  return swarmSpec.encode(spec);
}
