/** The flags that say where tasks run, with how much, and what happens when they end. */
import {
  bytes,
  cpus,
  durationMs,
  float,
  integer,
  list,
  oneOf,
  unsigned,
} from '../command/flags.ts';
import type { GenericResource } from '../../types/index.ts';
import { commandError } from '../command/errors.ts';
import { parseBytes, splitPair } from '../format/parse.ts';
import {
  limits,
  placement,
  reservations,
  resources,
  restart,
  updates,
  type SpecDraft,
} from './draft.ts';
import { collection, scalar, words, type SpecFlag } from './spec-flag.ts';

const withUnits = '(ns|us|ms|s|m|h)';

const resourceFlags: readonly SpecFlag[] = [
  scalar(cpus('limit-cpu', 'Limit CPUs'), (spec, value) => (limits(spec).nanoCpus = value)),
  scalar(bytes('limit-memory', 'Limit Memory'), (spec, value) => {
    limits(spec).memoryBytes = value;
  }),
  scalar(
    integer('limit-pids', 'Limit maximum number of processes (default 0 = unlimited)'),
    (spec, value) => (limits(spec).pids = value),
  ),
  scalar(
    {
      ...bytes('memory-swap', 'Swap besides the memory, with a memory limit (-1 for unlimited)'),
      parse: (given) => (given === '-1' ? -1 : parseBytes(given)),
    },
    (spec, value) => (resources(spec).swapBytes = value),
  ),
  scalar(
    integer('memory-swappiness', 'Tune memory swappiness (0-100, -1 for the default)'),
    (spec, value) => (resources(spec).memorySwappiness = value),
  ),
  scalar(cpus('reserve-cpu', 'Reserve CPUs'), (spec, value) => {
    reservations(spec).nanoCpus = value;
  }),
  scalar(bytes('reserve-memory', 'Reserve Memory'), (spec, value) => {
    reservations(spec).memoryBytes = value;
  }),
  collection<GenericResource>({
    name: 'generic-resource',
    help: 'User defined resources',
    addHelp: 'Add a Generic resource',
    rmHelp: 'Remove a Generic resource',
    parse(value) {
      const [kind, amount = ''] = splitPair(value);
      if (kind === '' || !/^\d+$/.test(amount)) {
        throw new Error(`invalid generic-resource request \`${value}\`, expected KIND=NUMBER`);
      }
      return [{ discrete: { kind, value: Number(amount) } }];
    },
    key: (entry) => entry.discrete?.kind ?? entry.named?.kind ?? '',
    read: (spec) => reservations(spec).genericResources ?? [],
    write: (spec, entries) => (reservations(spec).genericResources = entries as never),
  }),
];

const restartFlags: readonly SpecFlag[] = [
  scalar(
    oneOf(
      'restart-condition',
      'Restart when condition is met ("none", "on-failure", "any")',
      ['none', 'on-failure', 'any'],
      { shownDefault: '"any"' },
    ),
    (spec, value) => (restart(spec).condition = value),
  ),
  scalar(
    durationMs('restart-delay', `Delay between restart attempts ${withUnits}`, {
      shownDefault: '5s',
    }),
    (spec, value) => (restart(spec).delayMs = value),
  ),
  scalar(
    unsigned('restart-max-attempts', 'Maximum number of restarts before giving up'),
    (spec, value) => (restart(spec).maxAttempts = value),
  ),
  scalar(
    durationMs('restart-window', `Window used to evaluate the restart policy ${withUnits}`),
    (spec, value) => (restart(spec).windowMs = value),
  ),
];

/** Updates and rollbacks have the same members, under names and words of their own. */
function updateFlags(prefix: 'update' | 'rollback'): readonly SpecFlag[] {
  const config = (spec: SpecDraft) => updates(spec, `${prefix}Config`);
  const isUpdate = prefix === 'update';
  const actions = isUpdate
    ? (['pause', 'continue', 'rollback'] as const)
    : (['pause', 'continue'] as const);
  const shownActions = actions.map((action) => `"${action}"`).join(', ');
  const done = isUpdate ? 'updated' : 'rolled back';
  const title = isUpdate ? 'Update' : 'Rollback';
  return [
    scalar(
      unsigned(
        `${prefix}-parallelism`,
        `Maximum number of tasks ${done} simultaneously (0 to ${isUpdate ? 'update' : 'roll back'} all at once)`,
        { shownDefault: '1' },
      ),
      (spec, value) => (config(spec).parallelism = value),
    ),
    scalar(
      durationMs(
        `${prefix}-delay`,
        `Delay between ${isUpdate ? 'updates' : 'task rollbacks'} ${withUnits}`,
        { shownDefault: '0s' },
      ),
      (spec, value) => (config(spec).delayMs = value),
    ),
    scalar(
      durationMs(
        `${prefix}-monitor`,
        `Duration after each task ${prefix} to monitor for failure ${withUnits}`,
        { shownDefault: '5s' },
      ),
      (spec, value) => (config(spec).monitorMs = value),
    ),
    scalar(
      oneOf(`${prefix}-failure-action`, `Action on ${prefix} failure (${shownActions})`, actions, {
        shownDefault: '"pause"',
      }),
      (spec, value) => (config(spec).failureAction = value),
    ),
    scalar(
      float(
        `${prefix}-max-failure-ratio`,
        `Failure rate to tolerate during ${isUpdate ? 'an update' : 'a rollback'}`,
        { shownDefault: '0' },
      ),
      (spec, value) => (config(spec).maxFailureRatio = value),
    ),
    scalar(
      oneOf(
        `${prefix}-order`,
        `${title} order ("start-first", "stop-first")`,
        ['start-first', 'stop-first'],
        { shownDefault: '"stop-first"' },
      ),
      (spec, value) => (config(spec).order = value),
    ),
  ];
}

function spreadOf(value: string): { spread: { descriptor: string } } {
  const [strategy, descriptor = ''] = splitPair(value);
  if (strategy !== 'spread' || descriptor === '') {
    throw new Error(`unsupported placement preference ${value} (only spread=<label> is supported)`);
  }
  return { spread: { descriptor } };
}

const preferenceWords = { word: 'pref' };
const prefFlags = {
  create: list('placement-pref', 'Add a placement preference', preferenceWords),
  add: list('placement-pref-add', 'Add a placement preference', preferenceWords),
  rm: list('placement-pref-rm', 'Remove a placement preference', preferenceWords),
};

/** The order of preferences counts, and one may be there twice: they are no set. */
const preferences: SpecFlag = {
  flags: (verb) => (verb === 'create' ? [prefFlags.create] : [prefFlags.add, prefFlags.rm]),
  apply(spec, values) {
    const read = (texts: readonly string[] = []) => {
      try {
        return texts.map(spreadOf);
      } catch (error) {
        throw commandError((error as Error).message);
      }
    };
    const added = read(values.get(prefFlags.create) ?? values.get(prefFlags.add));
    const gone = read(values.get(prefFlags.rm)).map(({ spread }) => spread.descriptor);
    if (added.length === 0 && gone.length === 0) return;
    const kept = (placement(spec).preferences ?? []).filter(
      ({ spread }) => !gone.includes(spread?.descriptor ?? ''),
    );
    placement(spec).preferences = [...kept, ...added];
  },
};

const placementFlags: readonly SpecFlag[] = [
  words({
    name: 'constraint',
    help: 'Placement constraints',
    addHelp: 'Add or update a placement constraint',
    rmHelp: 'Remove a constraint',
    read: (spec) => placement(spec).constraints,
    write: (spec, entries) => (placement(spec).constraints = entries),
  }),
  preferences,
  scalar(
    unsigned('replicas-max-per-node', 'Maximum number of tasks per node (default 0 = unlimited)'),
    (spec, value) => (placement(spec).maxReplicas = value),
  ),
];

export const taskFlags: readonly SpecFlag[] = [
  ...resourceFlags,
  ...restartFlags,
  ...placementFlags,
  ...updateFlags('update'),
  ...updateFlags('rollback'),
];
