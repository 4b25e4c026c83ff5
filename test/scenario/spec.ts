/** Service specs from a scenario's words: `replicas=3 image=web:2 order=start-first`. */
import { SwarmError } from '../../lib/errors.ts';
import {
  cronLabels,
  dependsLabel,
  type PortConfig,
  type ServiceMode,
  type ServiceSpec,
  type UpdateConfig,
} from '../../types/index.ts';

const modes: Readonly<Record<string, ServiceMode>> = {
  global: { global: {} },
  'global-job': { globalJob: {} },
  'replicated-job': { replicatedJob: { maxConcurrent: 1, totalCompletions: 1 } },
};

type Edit = (spec: ServiceSpec, value: string) => ServiceSpec;

const edits: Readonly<Record<string, Edit>> = {
  replicas: (spec, value) => ({ ...spec, mode: { replicated: { replicas: Number(value) } } }),
  mode: (spec, value) => ({ ...spec, mode: modes[value] ?? spec.mode }),
  completions: (spec, value) => job(spec, { totalCompletions: Number(value) }),
  'max-concurrent': (spec, value) => job(spec, { maxConcurrent: Number(value) }),
  // Blanks are written as underscores.
  schedule: (spec, value) => cron(spec, 'schedule', value.replaceAll('_', ' ')),
  'time-zone': (spec, value) => cron(spec, 'timeZone', value),
  'missed-run': (spec, value) => cron(spec, 'missedRun', value),
  overlap: (spec, value) => cron(spec, 'overlap', value),
  runs: (spec, value) => cron(spec, 'history', value),
  image: (spec, value) => task(spec, { container: { image: value } }),
  force: (spec, value) => task(spec, { forceUpdate: Number(value) }),
  restart: (spec, value) => restart(spec, { condition: value as 'none' | 'on-failure' | 'any' }),
  delay: (spec, value) => restart(spec, { delayMs: duration(value) }),
  'max-attempts': (spec, value) => restart(spec, { maxAttempts: Number(value) }),
  window: (spec, value) => restart(spec, { windowMs: duration(value) }),
  constraint: (spec, value) =>
    placement(spec, {
      constraints: value === 'none' ? [] : [...(spec.task.placement?.constraints ?? []), value],
    }),
  spread: (spec, value) =>
    placement(spec, {
      preferences: [...(spec.task.placement?.preferences ?? []), { spread: { descriptor: value } }],
    }),
  'max-per-node': (spec, value) => placement(spec, { maxReplicas: Number(value) }),
  cpus: (spec, value) => reserve(spec, { nanoCpus: Number(value) * 1e9 }),
  memory: (spec, value) => reserve(spec, { memoryBytes: Number(value) * 2 ** 20 }),
  gpu: (spec, value) =>
    reserve(spec, { genericResources: [{ discrete: { kind: 'gpu', value: Number(value) } }] }),
  publish: (spec, value) => ({
    ...spec,
    endpoint: {
      ...spec.endpoint,
      ports: value === 'none' ? [] : [...(spec.endpoint?.ports ?? []), port(value)],
    },
  }),
  'endpoint-mode': (spec, value) => ({
    ...spec,
    endpoint: { ...spec.endpoint, mode: value === 'dnsrr' ? 'dnsrr' : 'vip' },
  }),
  network: (spec, value) =>
    task(spec, {
      networks: value === 'none' ? [] : [...(spec.task.networks ?? []), { target: value }],
    }),
  'depends-on': (spec, value) => ({ ...spec, labels: { ...spec.labels, [dependsLabel]: value } }),
  parallelism: (spec, value) => updating(spec, { parallelism: Number(value) }),
  'update-delay': (spec, value) => updating(spec, { delayMs: duration(value) }),
  monitor: (spec, value) => updating(spec, { monitorMs: duration(value) }),
  'failure-action': (spec, value) =>
    updating(spec, { failureAction: value as 'pause' | 'continue' | 'rollback' }),
  'max-failure-ratio': (spec, value) => updating(spec, { maxFailureRatio: Number(value) }),
  order: (spec, value) => updating(spec, { order: value as 'stop-first' | 'start-first' }),
};

export function newSpec(name: string, words: readonly string[]): ServiceSpec {
  const spec: ServiceSpec = {
    name,
    labels: {},
    task: { container: { image: 'web:1' }, forceUpdate: 0 },
    mode: { replicated: { replicas: 1 } },
  };
  return edited(spec, words);
}

export function edited(spec: ServiceSpec, words: readonly string[]): ServiceSpec {
  return words.reduce((next, word) => {
    const at = word.indexOf('=');
    const edit = edits[word.slice(0, at)];
    if (at < 0 || edit === undefined) throw wrong(`"${word}" says nothing of a service`);
    return edit(next, word.slice(at + 1));
  }, spec);
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "250ms", "5s", "2m", "24h" in milliseconds. */
export function duration(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s|m|h)$/.exec(text) ?? [];
  if (number === undefined || unit === undefined) throw wrong(`"${text}" is no duration`);
  return Number(number) * (unitsMs[unit] ?? 0);
}

export function wrong(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}

function job(spec: ServiceSpec, change: NonNullable<ServiceMode['replicatedJob']>): ServiceSpec {
  return { ...spec, mode: { replicatedJob: { ...spec.mode.replicatedJob, ...change } } };
}

function cron(spec: ServiceSpec, key: keyof typeof cronLabels, value: string): ServiceSpec {
  return { ...spec, labels: { ...spec.labels, [cronLabels[key]]: value } };
}

function task(spec: ServiceSpec, change: Partial<ServiceSpec['task']>): ServiceSpec {
  return { ...spec, task: { ...spec.task, ...change } };
}

function restart(
  spec: ServiceSpec,
  change: NonNullable<ServiceSpec['task']['restartPolicy']>,
): ServiceSpec {
  return task(spec, { restartPolicy: { ...spec.task.restartPolicy, ...change } });
}

function placement(
  spec: ServiceSpec,
  change: NonNullable<ServiceSpec['task']['placement']>,
): ServiceSpec {
  return task(spec, { placement: { ...spec.task.placement, ...change } });
}

function reserve(
  spec: ServiceSpec,
  change: NonNullable<NonNullable<ServiceSpec['task']['resources']>['reservations']>,
): ServiceSpec {
  const reservations = { ...spec.task.resources?.reservations, ...change };
  return task(spec, { resources: { reservations } });
}

function updating(spec: ServiceSpec, change: Partial<UpdateConfig>): ServiceSpec {
  const base = spec.updateConfig ?? { parallelism: 1, maxFailureRatio: 0 };
  const updateConfig = { ...base, ...change };
  return { ...spec, updateConfig, rollbackConfig: updateConfig };
}

/** "host:8080:80" or "ingress:8080:80"; "ingress::80" leaves the port to the swarm. */
function port(text: string): PortConfig {
  const [mode, published, target] = text.split(':');
  return {
    protocol: 'tcp',
    targetPort: Number(target),
    publishMode: mode === 'host' ? 'host' : 'ingress',
    ...(published === '' ? {} : { publishedPort: Number(published) }),
  };
}
