/**
 * Decides from snapshots of a service how far it has come, and whether it will get there. Pure: the
 * caller polls, draws, and passes the time in.
 */
import { newestFirst, type WireNode, type WireService, type WireTask } from '../client/wire.ts';
import { goDuration } from '../format/units.ts';

/** A slot that failed this often since the change is not going to run. */
const hopelessFailures = 3;
/** A task without a node is waited for this long: a node may be about to come up. */
const pendingPatienceMs = 10_000;
/** What the manager needs, beyond the restart's own delay, to replace a task that has ended. */
const replacementPatienceMs = 3000;
const defaultRestartDelayMs = 5000;
const defaultMonitorMs = 5000;

interface Snapshot {
  readonly service: WireService;
  /** The service's tasks of its newest spec. */
  readonly tasks: readonly WireTask[];
  readonly nodes: ReadonlyMap<string, WireNode>;
  readonly nowMs: number;
}

export interface SlotView {
  /** "2/3", or the node's id for a global service. */
  readonly label: string;
  /** A task's state, or why it failed. */
  readonly text: string;
  /** 0 to 1. */
  readonly progress: number;
  readonly failed: boolean;
}

type Outcome =
  | { readonly kind: 'going' }
  | { readonly kind: 'converged' }
  | { readonly kind: 'failed'; readonly message: string };

export interface ProgressView {
  readonly overall: string;
  readonly slots: readonly SlotView[];
  /** What the manager says of a rollback, and how long the tasks are still watched. */
  readonly notes: readonly string[];
  readonly outcome: Outcome;
}

const stateProgress: Readonly<Record<string, number>> = {
  new: 1,
  allocated: 2,
  pending: 3,
  assigned: 4,
  accepted: 5,
  preparing: 6,
  ready: 7,
  starting: 8,
  running: 9,
  complete: 10,
  shutdown: 11,
  failed: 12,
  rejected: 13,
  remove: 14,
  orphaned: 15,
};
const runningProgress = 9;

interface Slot {
  readonly key: string;
  readonly label: string;
  readonly name: string;
  /** The task that stands for the slot now. */
  readonly task: WireTask | undefined;
  readonly failures: readonly WireTask[];
  readonly done: boolean;
}

const defaultTimeoutMs = 5 * 60_000;

type Mode = 'replicated' | 'global' | 'replicated-job' | 'global-job';

export interface TrackerOptions {
  /** Going back is what was asked for. */
  readonly rollback: boolean;
  /** 0 waits for ever; undefined too for a job, which may take its time, else five minutes. */
  readonly timeoutMs: number | undefined;
  /** The service's version before the change: what failed before it says nothing of the change. */
  readonly sinceVersion: number;
}

export class ProgressTracker {
  readonly #rollback: boolean;
  readonly #timeoutMs: number | undefined;
  readonly #sinceVersion: number;
  #startMs: number | undefined;
  #convergedAtMs: number | undefined;
  /** Since when a slot has been in a condition that may be for good: key → condition and time. */
  /** Why the update was taken back: the tasks that tell are gone once it has been. */
  #rollbackReasons: readonly string[] = [];
  #rollbackMessage: string | undefined;
  readonly #stuckSince = new Map<string, { condition: string; atMs: number }>();

  constructor(options: TrackerOptions) {
    this.#sinceVersion = options.sinceVersion;
    this.#rollback = options.rollback;
    this.#timeoutMs = options.timeoutMs;
  }

  step(snapshot: Snapshot): ProgressView {
    const { service, nowMs } = snapshot;
    this.#startMs ??= nowMs;
    const mode = modeOf(service);
    const slots = slotsOf(snapshot, mode, this.#sinceVersion);
    const done = slots.filter((slot) => slot.done).length;
    const update = service.UpdateStatus?.State ?? '';
    const settled = update !== 'updating' && update !== 'rollback_started';
    const complete = settled && done === slots.length && (slots.length > 0 || !isGlobal(mode));
    if (!complete) this.#convergedAtMs = undefined;
    else this.#convergedAtMs ??= nowMs;
    const isJob = mode.endsWith('job');
    const monitorMs = isJob
      ? 0
      : (service.Spec.UpdateConfig?.Monitor || defaultMonitorMs * 1e6) / 1e6;
    const leftMs =
      this.#convergedAtMs === undefined ? undefined : this.#convergedAtMs + monitorMs - nowMs;
    const rolling = update.startsWith('rollback') && !isJob;
    return {
      overall: isJob
        ? `job progress: ${done} out of ${slots.length} complete`
        : `overall progress: ${rolling ? 'rolling back update: ' : ''}${done} out of ${slots.length} tasks`,
      slots: slots.map(viewOf),
      notes: this.#notes(service, leftMs),
      outcome: this.#outcome(snapshot, slots, leftMs),
    };
  }

  #notes(service: WireService, leftMs: number | undefined): string[] {
    const notes: string[] = [];
    const { State: state = '', Message: message = '' } = service.UpdateStatus ?? {};
    if (state.startsWith('rollback') && message !== '' && !this.#rollback) {
      notes.push(`rollback: ${message}`);
    }
    if (message.startsWith('update waits for ')) notes.push(message);
    if (leftMs !== undefined && leftMs > 0) {
      // Rounded first: the last bit of a sum of fractions must not make a second more.
      const seconds = Math.ceil(Math.round(leftMs) / 1000);
      const unit = seconds === 1 ? 'second' : 'seconds';
      notes.push(`verify: Waiting ${seconds} ${unit} to verify that tasks are stable...`);
    }
    return notes;
  }

  #outcome(snapshot: Snapshot, slots: readonly Slot[], leftMs: number | undefined): Outcome {
    const { service, nowMs } = snapshot;
    const { State: state = '', Message: message = '' } = service.UpdateStatus ?? {};
    this.#noteRollback(snapshot, slots);
    const open = slots.filter((slot) => !slot.done);
    const tell = (sentence: string, named: readonly Slot[]): Outcome => ({
      kind: 'failed',
      message: [sentence, ...reasonsOf(named, snapshot.nodes)].join('\n'),
    });
    const failed = slots.filter((slot) => slot.failures.length > 0);
    const failing = failed.length > 0 ? failed : open;
    if (state === 'paused') return tell(`service update paused: ${message}`, failing);
    if (state === 'rollback_paused') return tell(`service rollback paused: ${message}`, failing);
    if (leftMs !== undefined && leftMs <= 0) {
      if (state === 'rollback_completed' && !this.#rollback) {
        const why = this.#rollbackMessage ?? message;
        const lines = [`service rolled back: ${why}`, ...this.#rollbackReasons];
        return { kind: 'failed', message: lines.join('\n') };
      }
      return { kind: 'converged' };
    }
    const name = service.Spec.Name ?? service.ID;
    const isJob = modeOf(service).endsWith('job');
    const goal = isJob ? 'complete' : 'running';
    const counted = `${slots.length - open.length} out of ${slots.length} tasks ${goal}`;
    const timeoutMs = this.#timeoutMs ?? (isJob ? 0 : defaultTimeoutMs);
    if (this.#isHopeless(service, slots, open, nowMs)) {
      const why = slots.length === 0 ? ': no node runs it, see its constraints' : `: ${counted}`;
      return tell(`service ${name} does not converge${why}`, open);
    }
    if (timeoutMs > 0 && nowMs - (this.#startMs ?? nowMs) >= timeoutMs) {
      const after = goDuration(timeoutMs);
      return tell(`service ${name} has not converged after ${after}: ${counted}`, open);
    }
    return { kind: 'going' };
  }

  #noteRollback(snapshot: Snapshot, slots: readonly Slot[]): void {
    const { State: state = '', Message: message = '' } = snapshot.service.UpdateStatus ?? {};
    if (this.#rollback || state === 'rollback_completed') return;
    const failing = slots.filter((slot) => slot.failures.length > 0);
    if (failing.length > 0) this.#rollbackReasons = reasonsOf(failing, snapshot.nodes);
    if (state === 'rollback_started') this.#rollbackMessage = message;
  }

  /** Every slot that does not run has a reason never to, and nothing else is still moving. */
  #isHopeless(
    service: WireService,
    slots: readonly Slot[],
    open: readonly Slot[],
    nowMs: number,
  ): boolean {
    if (slots.length === 0) {
      return isGlobal(modeOf(service)) && this.#lasts('*', 'no tasks', nowMs) >= pendingPatienceMs;
    }
    if (open.length === 0) return false;
    let stuck = 0;
    const untouched = open.filter((slot) => slot.task === undefined).length;
    const patienceMs = replacementPatience(service);
    for (const slot of open) if (this.#isStuck(slot, patienceMs, nowMs)) stuck++;
    if (stuck === 0) return false;
    // An update takes slots in turn: those still untouched wait for the stuck ones.
    const waitingMs = this.#lasts('*', `untouched ${untouched}`, nowMs);
    return stuck + untouched === open.length && (untouched === 0 || waitingMs >= pendingPatienceMs);
  }

  #isStuck(slot: Slot, patienceMs: number, nowMs: number): boolean {
    const { task, failures } = slot;
    const state = task?.Status.State ?? '';
    const ended = task !== undefined && (stateProgress[state] ?? 0) > runningProgress;
    const placeless = (state === 'pending' || state === 'new') && isForGood(task?.Status.Err ?? '');
    const condition = ended ? `ended ${task.ID}` : placeless ? 'pending' : 'moving';
    const forMs = this.#lasts(slot.key, condition, nowMs);
    if (failures.length >= hopelessFailures) return true;
    if (ended) return forMs >= patienceMs;
    return placeless && forMs >= pendingPatienceMs;
  }

  /** For how long the slot has been in this condition. */
  #lasts(key: string, condition: string, nowMs: number): number {
    const known = this.#stuckSince.get(key);
    if (known?.condition === condition) return nowMs - known.atMs;
    this.#stuckSince.set(key, { condition, atMs: nowMs });
    return 0;
  }
}

/** Why a task has no node, unless it is that it waits for another service that may yet be there. */
function isForGood(err: string): boolean {
  return err !== '' && (!err.startsWith('waits for ') || err.includes('is not tried again'));
}

/** How long a task that ended may stay the last of its slot until no other will come. */
function replacementPatience(service: WireService): number {
  const { Condition: condition, Delay: delay } = service.Spec.TaskTemplate.RestartPolicy ?? {};
  if (condition === 'none') return replacementPatienceMs;
  return replacementPatienceMs + (delay === undefined ? defaultRestartDelayMs : delay / 1e6);
}

function modeOf(service: WireService): Mode {
  const mode = service.Spec.Mode ?? {};
  if (mode.Global !== undefined) return 'global';
  if (mode.ReplicatedJob !== undefined) return 'replicated-job';
  return mode.GlobalJob !== undefined ? 'global-job' : 'replicated';
}

function isGlobal(mode: Mode): boolean {
  return mode === 'global' || mode === 'global-job';
}

function slotsOf(snapshot: Snapshot, mode: Mode, sinceVersion: number): Slot[] {
  const { service, nodes } = snapshot;
  const iteration = service.JobStatus?.JobIteration?.Index ?? 0;
  const isJob = mode.endsWith('job');
  const tasks = isJob
    ? snapshot.tasks.filter((task) => (task.JobIteration?.Index ?? 0) === iteration)
    : snapshot.tasks;
  const name = service.Spec.Name ?? service.ID;
  const byKey = new Map<string, WireTask[]>();
  for (const task of tasks) {
    const key = isGlobal(mode) ? (task.NodeID ?? '') : String(task.Slot ?? 0);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [task]);
    else known.push(task);
  }
  const slot = (key: string, label: string, slotName: string): Slot => {
    const history = (byKey.get(key) ?? []).toSorted(newestWantedFirst);
    const task = history[0];
    return {
      key,
      label,
      name: slotName,
      task,
      failures: history.filter((entry) => hasFailed(entry, sinceVersion)),
      done: task !== undefined && (isJob ? task.Status.State === 'complete' : isUp(task, nodes)),
    };
  };
  if (isGlobal(mode)) {
    return [...byKey]
      .filter(([node, list]) => node !== '' && isServing(nodes.get(node)) && list.some(isWanted))
      .map(([node]) => slot(node, node, `${name} on ${nodes.get(node)?.Description.Hostname}`));
  }
  const wanted =
    service.Spec.Mode?.ReplicatedJob?.TotalCompletions ??
    service.Spec.Mode?.Replicated?.Replicas ??
    (isJob ? 1 : 0);
  return slotKeys([...byKey], wanted, isJob).map((key, index) =>
    slot(key, `${index + 1}/${wanted}`, `${name}.${key}`),
  );
}

/** Slots that run or are wanted to, filled up to the number asked for with those to come. */
function slotKeys(
  history: readonly (readonly [string, readonly WireTask[]])[],
  wanted: number,
  isJob: boolean,
): string[] {
  const live = history
    .filter(([, tasks]) => tasks.some((task) => isWanted(task) || hasFailed(task, 0)))
    .map(([key]) => Number(key))
    .sort((a, b) => a - b);
  const surplus = live.length - wanted;
  const kept = surplus > 0 ? keepBest(history, live, wanted) : live;
  for (let next = isJob ? 0 : 1; kept.length < wanted; next++) {
    if (!kept.includes(next)) kept.push(next);
  }
  return kept.sort((a, b) => a - b).map(String);
}

/** While a service shrinks, the slots that are still wanted are those that count. */
function keepBest(
  history: readonly (readonly [string, readonly WireTask[]])[],
  live: readonly number[],
  wanted: number,
): number[] {
  const isLive = new Map(history.map(([key, tasks]) => [Number(key), tasks.some(isWanted)]));
  const rank = (key: number) => (isLive.get(key) === true ? 0 : 1);
  return live.toSorted((a, b) => rank(a) - rank(b) || a - b).slice(0, wanted);
}

function newestWantedFirst(a: WireTask, b: WireTask): number {
  const rank = (task: WireTask) => (isWanted(task) ? 0 : 1);
  return rank(a) - rank(b) || newestFirst(a, b);
}

function isWanted(task: WireTask): boolean {
  return (stateProgress[task.DesiredState] ?? 0) <= (stateProgress['complete'] ?? 0);
}

function isServing(node: WireNode | undefined): boolean {
  return node !== undefined && node.Status.State !== 'down' && node.Spec.Availability !== 'drain';
}

function isUp(task: WireTask, nodes: ReadonlyMap<string, WireNode>): boolean {
  const node = nodes.get(task.NodeID ?? '');
  return (
    task.DesiredState === 'running' &&
    task.Status.State === 'running' &&
    (node === undefined || node.Status.State !== 'down')
  );
}

function hasFailed(task: WireTask, sinceVersion: number): boolean {
  const failed = task.Status.State === 'failed' || task.Status.State === 'rejected';
  return failed && task.Version.Index > sinceVersion;
}

function viewOf({ label, task }: Slot): SlotView {
  const state = task?.Status.State ?? '';
  const step = stateProgress[state] ?? 0;
  const err = task?.Status.Err ?? '';
  const failed = ['failed', 'rejected', 'orphaned'].includes(state);
  return {
    label,
    text: err !== '' && (failed || step < runningProgress) ? err : state,
    progress: Math.min(1, step / runningProgress),
    failed: failed || (err !== '' && step < runningProgress),
  };
}

/** Why slots do not run, each reason once, with the slots that it keeps down. */
function reasonsOf(slots: readonly Slot[], nodes: ReadonlyMap<string, WireNode>): string[] {
  const groups = new Map<string, { names: string[]; places: Set<string>; times: number }>();
  for (const slot of slots) {
    const told = slot.failures.length > 0 ? slot.failures : slot.task ? [slot.task] : [];
    for (const task of told) {
      const { State: state, Err: err = '', Message: message = '' } = task.Status;
      const reason = `${state}: ${err || message || 'no reason given'}`;
      const group = groups.get(reason) ?? { names: [], places: new Set(), times: 0 };
      groups.set(reason, group);
      if (!group.names.includes(slot.name)) group.names.push(slot.name);
      const place = nodes.get(task.NodeID ?? '')?.Description.Hostname;
      if (place !== undefined) group.places.add(place);
      group.times++;
    }
  }
  return [...groups].map(([reason, { names, places, times }]) => {
    const shown = names.length > 3 ? [...names.slice(0, 3), `${names.length - 3} more`] : names;
    const where = places.size === 0 ? '' : ` on ${[...places].sort().join(', ')}`;
    const often = times > names.length ? ` (${times} times)` : '';
    return `  ${shown.join(', ')}${where} ${reason}${often}`;
  });
}
