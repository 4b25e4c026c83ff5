/** The flags of the service itself: its name, mode, ports, networks and logs. */
import { bool, list, oneOf, text, unsigned, type FlagValues } from '../command/flags.ts';
import { commandError } from '../command/errors.ts';
import type { PortConfig } from '../../types/index.ts';
import { splitPair } from '../format/parse.ts';
import { autoscaleFlags, refuseScaling } from './autoscale-flags.ts';
import { containerFlags } from './container-flags.ts';
import { dependsFlags } from './depends-flags.ts';
import { cronFlags, schedule } from './cron-flags.ts';
import { endpoint, type SpecDraft } from './draft.ts';
import { privilegeFlags } from './privilege-flags.ts';
import { networkFlag } from './networks.ts';
import { taskFlags } from './placement-flags.ts';
import { parsePublish, portKey, portMatches } from './ports.ts';
import { collection, scalar, type SpecFlag, type SpecVerb } from './spec-flag.ts';

const replicas = unsigned('replicas', 'Number of tasks');
const maxConcurrent = unsigned(
  'max-concurrent',
  'Number of job tasks to run concurrently (default equal to --replicas)',
);
const mode = oneOf(
  'mode',
  'Service mode ("replicated", "global", "replicated-job", "global-job", "cron")',
  ['replicated', 'global', 'replicated-job', 'global-job', 'cron'],
  { shownDefault: '"replicated"' },
);

const modeFlag: SpecFlag = {
  flags: (verb) =>
    verb === 'create' ? [mode, replicas, maxConcurrent] : [replicas, maxConcurrent],
  apply(spec, values, verb) {
    const count = values.get(replicas);
    const concurrent = values.get(maxConcurrent);
    if (verb === 'create') createMode(spec, values);
    const { replicated, replicatedJob } = spec.mode;
    if (count !== undefined && replicated === undefined && replicatedJob === undefined) {
      throw commandError('replicas can only be used with replicated or replicated-job mode');
    }
    if (concurrent !== undefined && replicatedJob === undefined) {
      throw commandError('max-concurrent can only be used with replicated-job mode');
    }
    if (verb === 'update' && count !== undefined) refuseScaling(spec, values);
    if (replicated !== undefined && count !== undefined) replicated.replicas = count;
    if (replicatedJob === undefined) return;
    if (count !== undefined) replicatedJob.totalCompletions = count;
    if (concurrent !== undefined) replicatedJob.maxConcurrent = concurrent;
  },
};

function createMode(spec: SpecDraft, values: FlagValues): void {
  const wanted = values.get(mode) ?? (values.has(schedule) ? 'cron' : 'replicated');
  if (wanted === 'cron' && !values.has(schedule)) {
    throw commandError('a cron service needs a --schedule, such as "*/5 * * * *"');
  }
  if (wanted === 'global') spec.mode = { global: {} };
  else if (wanted === 'global-job') spec.mode = { globalJob: {} };
  else if (wanted === 'replicated') spec.mode = { replicated: { replicas: 1 } };
  else {
    const count = values.get(replicas) ?? 1;
    spec.mode = { replicatedJob: { totalCompletions: count, maxConcurrent: count } };
  }
}

const publishFlag = collection<PortConfig>({
  name: 'publish',
  short: 'p',
  word: 'port',
  help: 'Publish a port as a node port',
  addHelp: 'Add or update a published port',
  rmHelp: 'Remove a published port by its target port',
  parse: parsePublish,
  key: portKey,
  matches: portMatches,
  read: (spec) => endpoint(spec).ports ?? [],
  write: (spec, entries) => (endpoint(spec).ports = entries as never),
});

const logDriver = text('log-driver', 'Logging driver for service');
const logOptions = list('log-opt', 'Logging driver options');

const logFlag: SpecFlag = {
  flags: () => [logDriver, logOptions],
  apply(spec, values) {
    const name = values.get(logDriver);
    if (name === undefined && !values.has(logOptions)) return;
    const entries = (values.get(logOptions) ?? []).map((option) => {
      const [key, value = ''] = splitPair(option);
      return [key, value];
    });
    // As in Docker, options belong to the driver that is named with them.
    spec.task.logDriver = {
      ...(name === undefined ? spec.task.logDriver : { name }),
      options: Object.fromEntries(entries) as Record<string, string>,
    };
  },
};

const own: readonly SpecFlag[] = [
  scalar(text('name', 'Service name'), (spec, value) => (spec.name = value), { only: 'create' }),
  modeFlag,
  ...autoscaleFlags,
  ...cronFlags,
  ...dependsFlags,
  scalar(
    oneOf('endpoint-mode', 'Endpoint mode (vip or dnsrr)', ['vip', 'dnsrr'], {
      shownDefault: '"vip"',
    }),
    (spec, value) => (endpoint(spec).mode = value),
  ),
  publishFlag,
  networkFlag,
  logFlag,
  scalar(
    bool('force', 'Force update even if no changes require it'),
    (spec, value) => {
      if (value) spec.task.forceUpdate += 1;
    },
    { only: 'update' },
  ),
];

/** Every flag that changes a spec. `env`: the environment that the CLI runs in. */
export function specFlags(env: Readonly<Record<string, string | undefined>>): readonly SpecFlag[] {
  return [...own, ...containerFlags(env), ...privilegeFlags, ...taskFlags];
}

export function applyFlags(
  spec: SpecDraft,
  declared: readonly SpecFlag[],
  values: FlagValues,
  verb: SpecVerb,
): void {
  for (const flag of declared) flag.apply(spec, values, verb);
}
