/** Fills in what a service's spec may leave open, so that no reader has to: mode, runtime, name. */
import type { Random } from '../../lib/random.ts';
import type { ContainerSpec, ServiceMode, ServiceSpec, UpdateConfig } from '../../types/index.ts';

const adjectives = [
  'amber',
  'bold',
  'brisk',
  'calm',
  'clever',
  'eager',
  'fair',
  'gentle',
  'keen',
  'lively',
  'mellow',
  'nimble',
  'quiet',
  'steady',
  'sunny',
  'swift',
];
const nouns = [
  'badger',
  'crane',
  'dolphin',
  'falcon',
  'heron',
  'ibex',
  'lynx',
  'marten',
  'narwhal',
  'otter',
  'puffin',
  'raven',
  'seal',
  'tern',
  'walrus',
  'wren',
];

/**
 * The spec as it is stored. A service without a name gets one, as with Docker; the deprecated
 * networks of the service become those of its tasks. What the API adds for clients that expect it
 * is left out again, or stored in full: a spec that was read and sent back is the same, and
 * restarts no task.
 */
export function normalizeService(spec: ServiceSpec, random: Random): ServiceSpec {
  const { networks, updateConfig, rollbackConfig, endpoint, ...rest } = spec;
  const { container, restartPolicy } = spec.task;
  const ownNetworks = spec.task.networks ?? [];
  const merged = ownNetworks.length > 0 ? ownNetworks : (networks ?? []);
  return {
    ...rest,
    ...(updateConfig === undefined ? {} : { updateConfig: inFull(updateConfig) }),
    ...(rollbackConfig === undefined ? {} : { rollbackConfig: inFull(rollbackConfig) }),
    ...(endpoint === undefined ? {} : { endpoint: { mode: 'vip', ...endpoint } }),
    name: spec.name === '' ? randomName(random) : spec.name,
    task: {
      ...spec.task,
      ...(container === undefined ? {} : { container: ownContainer(container) }),
      ...(restartPolicy === undefined
        ? {}
        : { restartPolicy: { condition: 'any', maxAttempts: 0, ...restartPolicy } }),
      ...(merged.length > 0 ? { networks: merged } : {}),
      runtime:
        spec.task.runtime === undefined || spec.task.runtime === ''
          ? 'container'
          : spec.task.runtime,
    },
    mode: normalizeMode(spec.mode),
  };
}

/** With the words that Docker never leaves out. */
function inFull(config: UpdateConfig): UpdateConfig {
  return { failureAction: 'pause', order: 'stop-first', ...config };
}

/**
 * Only Windows knows another isolation than the default one. Docker's CLI leaves empty lists of
 * secrets and configs behind: they are as good as none.
 */
function ownContainer(container: ContainerSpec): ContainerSpec {
  const { isolation, secrets = [], configs = [], ...rest } = container;
  return {
    ...rest,
    ...(isolation === undefined || ['', 'default'].includes(isolation) ? {} : { isolation }),
    ...(secrets.length === 0 ? {} : { secrets }),
    ...(configs.length === 0 ? {} : { configs }),
  };
}

/** Docker's defaults: replicated with one replica; a job runs one task at a time, once each. */
function normalizeMode(mode: ServiceMode): ServiceMode {
  if (mode.global !== undefined || mode.globalJob !== undefined) return mode;
  if (mode.replicatedJob !== undefined) {
    const maxConcurrent = mode.replicatedJob.maxConcurrent ?? 1;
    const totalCompletions = mode.replicatedJob.totalCompletions ?? maxConcurrent;
    return { replicatedJob: { maxConcurrent, totalCompletions } };
  }
  return { replicated: { replicas: mode.replicated?.replicas ?? 1 } };
}

function randomName(random: Random): string {
  const pick = (words: readonly string[]) => words[random.integer(words.length)] ?? 'service';
  return `${pick(adjectives)}_${pick(nouns)}_${random.id().slice(0, 5)}`;
}
