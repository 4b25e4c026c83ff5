/** Service specs from a scenario's words: `replicas=3 image=web:2 order=start-first`. */
import { SwarmError } from '../../lib/errors.ts';
import {
  autoscaleLabel,
  cronLabels,
  dependsLabel,
  devicesLabel,
  followLabel,
  privilegedLabel,
  type ContainerSpec,
  type FileKind,
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

/** What a spec can refer to by name. */
interface Files {
  revisions(kind: FileKind, name: string): readonly { readonly id: string }[];
}

type Edit = (spec: ServiceSpec, value: string, files: Files) => ServiceSpec;

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
  image: (spec, value) => container(spec, { image: value }),
  'stop-grace': (spec, value) => container(spec, { stopGracePeriodMs: duration(value) }),
  secret: (spec, value, files) => withFile(spec, 'secret', value, files),
  config: (spec, value, files) => withFile(spec, 'config', value, files),
  volume: (spec, value) => withVolume(spec, value),
  'cluster-volume': (spec, value) => withClusterVolume(spec, value),
  privileged: (spec, value) => withLabel(spec, privilegedLabel, value),
  device: (spec, value) => withLabel(spec, devicesLabel, value === 'none' ? '' : value),
  follow: (spec, value) => ({ ...spec, labels: { ...spec.labels, [followLabel]: value } }),
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
      preferences:
        value === 'none'
          ? []
          : [...(spec.task.placement?.preferences ?? []), { spread: { descriptor: value } }],
    }),
  platform: (spec, value) => {
    const [os = '', architecture = ''] = value.split('/');
    return placement(spec, { platforms: [{ os, architecture }] });
  },
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
  autoscale: (spec, value) => ({ ...spec, labels: { ...spec.labels, [autoscaleLabel]: value } }),
  'depends-on': (spec, value) => ({ ...spec, labels: { ...spec.labels, [dependsLabel]: value } }),
  parallelism: (spec, value) => updating(spec, { parallelism: Number(value) }),
  'update-delay': (spec, value) => updating(spec, { delayMs: duration(value) }),
  monitor: (spec, value) => updating(spec, { monitorMs: duration(value) }),
  'failure-action': (spec, value) =>
    updating(spec, { failureAction: value as 'pause' | 'continue' | 'rollback' }),
  'max-failure-ratio': (spec, value) => updating(spec, { maxFailureRatio: Number(value) }),
  order: (spec, value) => updating(spec, { order: value as 'stop-first' | 'start-first' }),
  'rollback-parallelism': (spec, value) => rolling(spec, { parallelism: Number(value) }),
  'rollback-delay': (spec, value) => rolling(spec, { delayMs: duration(value) }),
  'rollback-monitor': (spec, value) => rolling(spec, { monitorMs: duration(value) }),
  'rollback-failure-action': (spec, value) =>
    rolling(spec, { failureAction: value as 'pause' | 'continue' }),
  'rollback-max-failure-ratio': (spec, value) => rolling(spec, { maxFailureRatio: Number(value) }),
  'rollback-order': (spec, value) =>
    rolling(spec, { order: value as 'stop-first' | 'start-first' }),
};

const noFiles: Files = { revisions: () => [] };

export function newSpec(
  name: string,
  words: readonly string[],
  files: Files = noFiles,
): ServiceSpec {
  const spec: ServiceSpec = {
    name,
    labels: {},
    task: { container: { image: 'web:1' }, forceUpdate: 0 },
    mode: { replicated: { replicas: 1 } },
  };
  return edited(spec, words, files);
}

export function edited(
  spec: ServiceSpec,
  words: readonly string[],
  files: Files = noFiles,
): ServiceSpec {
  return words.reduce((next, word) => {
    const at = word.indexOf('=');
    const edit = edits[word.slice(0, at)];
    if (at < 0 || edit === undefined) throw wrong(`"${word}" says nothing of a service`);
    return edit(next, word.slice(at + 1), files);
  }, spec);
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "250ms", "5s", "2m", "24h" in milliseconds. */
export function duration(text: string): number {
  const [, number, unit] = /^(-?[\d.]+)(ms|s|m|h)$/.exec(text) ?? [];
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

function container(spec: ServiceSpec, change: Partial<ContainerSpec>): ServiceSpec {
  const present = spec.task.container ?? { image: 'web:1' };
  return task(spec, { container: { ...present, ...change } });
}

/** "none" takes all of them away. */
function withFile(spec: ServiceSpec, kind: FileKind, name: string, files: Files): ServiceSpec {
  if (name === 'none') return container(spec, { [`${kind}s`]: [] });
  const id = files.revisions(kind, name).at(-1)?.id ?? 'unknown';
  const file = { name, uid: '0', gid: '0', mode: 0o444 };
  const { secrets = [], configs = [] } = spec.task.container ?? {};
  return kind === 'secret'
    ? container(spec, { secrets: [...secrets, { secretId: id, secretName: name, file }] })
    : container(spec, { configs: [...configs, { configId: id, configName: name, file }] });
}

/** "data-{{.Task.Slot}}:/data" */
function withVolume(spec: ServiceSpec, value: string): ServiceSpec {
  const [source = '', target = ''] = value.split(':');
  const mounts = value === 'none' ? [] : [{ type: 'volume' as const, source, target }];
  return container(spec, { mounts });
}

/** "disk:/data" or "disk:/data:ro" */
function withClusterVolume(spec: ServiceSpec, value: string): ServiceSpec {
  const [source = '', target = '', mode] = value.split(':');
  const mount = { type: 'cluster' as const, source, target };
  const own = mode === 'ro' ? { ...mount, readOnly: true } : mount;
  return container(spec, { mounts: value === 'none' ? [] : [own] });
}

/** Of the container; an empty one takes it away. */
function withLabel(spec: ServiceSpec, key: string, value: string): ServiceSpec {
  const { [key]: _old, ...labels } = spec.task.container?.labels ?? {};
  return container(spec, { labels: value === '' ? labels : { ...labels, [key]: value } });
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

/** Of a rollback alone: to be said after what is said of updates. */
function rolling(spec: ServiceSpec, change: Partial<UpdateConfig>): ServiceSpec {
  const base = spec.rollbackConfig ?? { parallelism: 1, maxFailureRatio: 0 };
  return { ...spec, rollbackConfig: { ...base, ...change } };
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
