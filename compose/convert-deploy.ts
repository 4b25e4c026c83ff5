/** `deploy` and the older keys that say the same: mode, resources, placement, policies, updates. */
import type {
  Resources,
  RestartPolicy,
  ServiceMode,
  TaskSpec,
  UpdateConfig,
} from '../types/index.ts';
import { convertDevices } from './convert-devices.ts';
import type { Field, Reader } from './read.ts';

const place = 'services.*.deploy';
const modes = ['replicated', 'global', 'replicated-job', 'global-job'] as const;

/** `awaited`: the condition by which another service waits for this one to end. */
export function convertMode(
  read: Reader,
  service: Field,
  deploy: Field,
  awaited: Field | undefined,
): ServiceMode {
  const field = read.at(deploy, 'mode');
  const written = read.oneOf(field, modes);
  const restart = read.text(read.at(service, 'restart'));
  const goesOn =
    written === undefined
      ? /^(always|unless-stopped)/.test(restart ?? '')
      : !written.endsWith('job');
  if (awaited !== undefined && goesOn) {
    read.problems.add(
      awaited.node!.at,
      `${awaited.name}: ${service.name} never ends: let its deploy.mode be replicated-job`,
    );
  }
  const mode = written ?? (awaited === undefined ? 'replicated' : 'replicated-job');
  const scale = read.at(service, 'scale');
  const count = read.at(deploy, 'replicas');
  const given = count.node === undefined ? scale : count;
  const replicas = read.integer(given);
  if (replicas !== undefined && mode.startsWith('global')) {
    read.problems.add(given.node!.at, `${given.name}: a ${mode} service has a task on each node`);
  }
  switch (mode) {
    case 'global':
      return { global: {} };
    case 'global-job':
      return { globalJob: {} };
    case 'replicated-job':
      return {
        replicatedJob: { maxConcurrent: replicas ?? 1, totalCompletions: replicas ?? 1 },
      };
    default:
      return { replicated: { replicas: replicas ?? 1 } };
  }
}

export function convertResources(read: Reader, service: Field, deploy: Field): Resources {
  const field = read.at(deploy, 'resources');
  read.keys(field, `${place}.resources`);
  const limits = read.at(field, 'limits');
  const reserved = read.at(field, 'reservations');
  read.keys(limits, `${place}.resources.limits`);
  read.keys(reserved, `${place}.resources.reservations`);
  const either = (group: Field, key: string, older: string) => {
    const newer = read.at(group, key);
    return newer.node === undefined ? read.at(service, older) : newer;
  };
  const pids = read.integer(either(limits, 'pids', 'pids_limit'), -1);
  const most = present({
    nanoCpus: read.nanoCpus(either(limits, 'cpus', 'cpus')) ?? quota(read, service),
    memoryBytes: read.bytes(either(limits, 'memory', 'mem_limit')),
    pids: pids === -1 ? undefined : pids,
  });
  const least = present({
    nanoCpus: read.nanoCpus(read.at(reserved, 'cpus')),
    memoryBytes: read.bytes(either(reserved, 'memory', 'mem_reservation')),
    genericResources: convertDevices(read, service, reserved),
  });
  return present({
    limits: Object.keys(most).length > 0 ? most : undefined,
    reservations: Object.keys(least).length > 0 ? least : undefined,
    swapBytes: swapBytes(read, read.at(service, 'memswap_limit'), most.memoryBytes),
    memorySwappiness: read.integer(read.at(service, 'mem_swappiness'), -1),
  });
}

/** The file says memory and swap together, a service swap alone; -1 is no limit in both. */
function swapBytes(read: Reader, field: Field, memoryBytes = 0): number | undefined {
  if (read.text(field) === '-1') return -1;
  const together = read.bytes(field) ?? 0;
  if (together === 0) return undefined;
  if (memoryBytes > 0 && together >= memoryBytes) return together - memoryBytes;
  read.problems.add(
    field.node!.at,
    `${field.name} is memory and swap together: give a mem_limit that is not larger`,
  );
  return undefined;
}

/** Microseconds of a CPU in each period of microseconds, which is 100 ms where it is not said. */
function quota(read: Reader, service: Field): number | undefined {
  const quotaUs = read.integer(read.at(service, 'cpu_quota'), -1);
  const periodUs = read.integer(read.at(service, 'cpu_period')) ?? 100_000;
  if (quotaUs === undefined || quotaUs <= 0 || periodUs <= 0) return undefined;
  return Math.round((quotaUs / periodUs) * 1e9);
}

export function convertPlacement(
  read: Reader,
  service: Field,
  deploy: Field,
): NonNullable<TaskSpec['placement']> {
  const field = read.at(deploy, 'placement');
  read.keys(field, `${place}.placement`);
  const constraints = read.texts(read.at(field, 'constraints'));
  const preferences = read.items(read.at(field, 'preferences')).flatMap((item) => {
    read.keys(item, `${place}.placement.preferences`);
    const descriptor = read.text(read.at(item, 'spread'));
    return descriptor === undefined ? [] : [{ spread: { descriptor } }];
  });
  return present({
    constraints: constraints.length > 0 ? constraints : undefined,
    preferences: preferences.length > 0 ? preferences : undefined,
    maxReplicas: read.integer(read.at(field, 'max_replicas_per_node')),
    platforms: platforms(read, read.at(service, 'platform')),
  });
}

function platforms(read: Reader, field: Field) {
  const text = read.text(field);
  if (text === undefined) return undefined;
  const [os = '', architecture = ''] = text.split('/');
  if (os !== '' && architecture !== '') return [{ os, architecture }];
  read.problems.add(field.node!.at, `${field.name}: "${text}" is not of the form linux/amd64`);
  return undefined;
}

/** What `restart` says counts where deploy.restart_policy says nothing. */
export function convertRestart(
  read: Reader,
  service: Field,
  deploy: Field,
): RestartPolicy | undefined {
  const field = read.at(deploy, 'restart_policy');
  if (field.node !== undefined) {
    read.keys(field, `${place}.restart_policy`);
    return present({
      condition: read.oneOf(read.at(field, 'condition'), ['none', 'on-failure', 'any']),
      delayMs: read.durationMs(read.at(field, 'delay')),
      maxAttempts: read.integer(read.at(field, 'max_attempts')),
      windowMs: read.durationMs(read.at(field, 'window')),
    });
  }
  const restart = read.at(service, 'restart');
  const text = read.text(restart);
  if (text === undefined) return undefined;
  // A YAML of an older kind reads a bare no as false.
  if (text === 'no' || text === 'false') return { condition: 'none' };
  if (text === 'always' || text === 'unless-stopped') return { condition: 'any' };
  const [, attempts] = /^on-failure(?::(\d+))?$/.exec(text) ?? [undefined, null];
  if (attempts === null) {
    read.problems.add(
      restart.node!.at,
      `${restart.name}: "${text}" is not one of no, always, on-failure[:N], unless-stopped`,
    );
    return undefined;
  }
  return attempts === undefined
    ? { condition: 'on-failure' }
    : { condition: 'on-failure', maxAttempts: Number(attempts) };
}

export function convertRollout(
  read: Reader,
  deploy: Field,
  key: 'update_config' | 'rollback_config',
): UpdateConfig | undefined {
  const field = read.at(deploy, key);
  if (field.node === undefined) return undefined;
  read.keys(field, `${place}.${key}`);
  const actions = ['pause', 'continue', 'rollback'] as const;
  return present({
    parallelism: read.integer(read.at(field, 'parallelism')) ?? 1,
    delayMs: read.durationMs(read.at(field, 'delay')),
    failureAction: read.oneOf(read.at(field, 'failure_action'), actions),
    monitorMs: read.durationMs(read.at(field, 'monitor')),
    maxFailureRatio: read.number(read.at(field, 'max_failure_ratio')) ?? 0,
    order: read.oneOf(read.at(field, 'order'), ['stop-first', 'start-first']),
  });
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> } & {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
};

/** Without the fields that are undefined. */
export function present<T extends object>(fields: T): Present<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Present<T>;
}
