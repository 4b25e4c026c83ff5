/**
 * Rolling updates. How far an update has come is read from the tasks: those of the service's present
 * spec version are what it has made, and their times say which slots are still being watched.
 */
import {
  dependenciesOf,
  withScale,
  type Service,
  type Task,
  type UpdateConfig,
  type UpdateStatus,
} from '../../types/index.ts';
import type { Draft, Slot } from './draft.ts';
import { waitsFor } from './depends.ts';
import { mayRestart } from './restart.ts';
import { hasPlace, isLive, isPaused } from './slots.ts';
import { endedItself, hostModePorts, wanted } from './task.ts';

const defaultMonitorMs = 5000;
const inProgress = 'update in progress';

/** A new task that has not come to run by then counts as failed: no update hangs for ever. */
const startTimeoutMs = 10 * 60_000;

interface Settings {
  readonly parallelism: number;
  readonly delayMs: number;
  readonly monitorMs: number;
  readonly action: 'pause' | 'continue' | 'rollback';
  readonly maxFailureRatio: number;
  readonly startFirst: boolean;
}

/** What the update has done to one slot. */
interface Progress {
  readonly slot: Slot;
  /** The slot needs no more watching (but for the monitoring) since then. */
  readonly finishedAtMs?: number;
  readonly failed?: { readonly task: Task; readonly lateStart: boolean };
  /** While not finished: the time when it counts as failed. */
  readonly deadlineMs: number;
}

export function update(draft: Draft): void {
  const live = [...draft.slots.values()].filter((slot) => isLive(slot) && hasPlace(draft, slot));
  const settings = settingsOf(draft.service);
  for (const slot of live) if (!isHandingOver(draft, slot)) retireOutdated(draft, slot);
  if (isPaused(draft.service)) return;
  const outdated = live.filter((slot) => {
    return isOutdated(draft, slot) || (!settings.startFirst && isHandingOver(draft, slot));
  });
  const running = isUpdating(draft.service.updateStatus);
  if (outdated.length === 0 && !running) return;
  if (!running) start(draft);
  const progress = live
    .map((slot) => progressOf(draft, slot, settings))
    .filter((entry) => entry !== undefined);
  if (reactToFailures(draft, progress, outdated, settings)) return;
  const toDo = new Set(outdated);
  const inherited = live.filter((slot) => !toDo.has(slot) && isInherited(draft, slot));
  if (outdated.length === 0) finish(draft, { live, inherited }, progress, settings);
  else if (draft.waits !== undefined) say(draft, `update ${draft.waits}`);
  else {
    say(draft, inProgress);
    launch(draft, { outdated, inherited }, progress, settings);
  }
}

/** While an update has not begun for what it waits for, its status says what that is. */
function say(draft: Draft, message: string): void {
  const { updateStatus } = draft.service;
  if (updateStatus === undefined || updateStatus.message === message) return;
  const isWaiting = updateStatus.message.startsWith(`update ${waitsFor}`);
  if (message === inProgress && !isWaiting) return;
  draft.changeService({ ...draft.service, updateStatus: { ...updateStatus, message } });
}

function settingsOf(service: Service): Settings {
  const rollingBack = service.updateStatus?.state.startsWith('rollback') ?? false;
  const config: UpdateConfig | undefined = rollingBack
    ? service.spec.rollbackConfig
    : service.spec.updateConfig;
  return {
    parallelism: config?.parallelism ?? 1,
    delayMs: config?.delayMs ?? 0,
    monitorMs: config?.monitorMs ?? defaultMonitorMs,
    action: config?.failureAction ?? 'pause',
    maxFailureRatio: config?.maxFailureRatio ?? 0,
    startFirst: config?.order === 'start-first',
  };
}

export function isUpdating(status: UpdateStatus | undefined): boolean {
  return status?.state === 'updating' || status?.state === 'rollback_started';
}

function start(draft: Draft): void {
  const { nowMs } = draft.env;
  draft.changeService({
    ...draft.service,
    updateStatus: { state: 'updating', startedAtMs: nowMs, message: inProgress },
  });
}

/** The slot has no task of the present spec, and has not had one that is not to come back. */
function isOutdated(draft: Draft, slot: Slot): boolean {
  const tasks = slot.tasks.filter(wanted);
  if (tasks.some((task) => !draft.isDirty(task))) return false;
  const newest = slot.tasks.at(-1);
  if (tasks.length === 0) return newest !== undefined && draft.isDirty(newest);
  const last = madeByUpdate(draft.service, slot).at(-1);
  return last === undefined || !endedItself(last) || mayRestart(last, slot.tasks);
}

/** The tasks that the present update (or rollback) has made in the slot, oldest first. */
export function madeByUpdate(service: Service, slot: Slot): Task[] {
  const startedAtMs = service.updateStatus?.startedAtMs ?? Infinity;
  return slot.tasks.filter(
    (task) => task.specVersion === service.specVersion && task.meta.createdAtMs >= startedAtMs,
  );
}

/**
 * Something of another spec works in the slot until the present one's task, which is there, runs.
 * It may be an update before this one that has begun it.
 */
function isHandingOver(draft: Draft, slot: Slot): boolean {
  const current = slot.tasks.filter(wanted);
  if (current.length < 2) return false;
  const fresh = current.filter((task) => !draft.isDirty(task));
  if (fresh.length === 0 || fresh.some(works)) return false;
  // The old task may hold the very port that the new one needs: then it has to go first.
  if (hostModePorts(draft.service).length > 0 && fresh.every((task) => task.nodeId === '')) {
    return false;
  }
  return current.some((task) => draft.isDirty(task) && works(task));
}

/** Stops a slot's tasks of another spec where one of the present spec takes over. */
function retireOutdated(draft: Draft, slot: Slot): void {
  const current = slot.tasks.filter(wanted);
  if (current.length < 2 || current.every((task) => draft.isDirty(task))) return;
  for (const task of current) {
    if (draft.isDirty(task) && draft.room(1)) draft.desire(task, 'shutdown');
  }
}

function works({ status }: Task): boolean {
  return status.state === 'running';
}

/**
 * An update before this one, to the same, has left the slot with a task that has yet to come to
 * run: until then, or until that is late, the slot is as good as one of this update's.
 */
function isInherited(draft: Draft, slot: Slot): boolean {
  const fresh = slot.tasks.slice(slot.tasks.findLastIndex(draft.isDirty) + 1);
  const [first] = fresh.filter(wanted);
  if (first === undefined || madeByUpdate(draft.service, slot).length > 0) return false;
  if (fresh.some((task) => ranSinceMs(task) !== undefined || endedItself(task))) return false;
  const deadlineMs = deadlineOf(draft, first);
  if (deadlineMs <= draft.env.nowMs) return false;
  draft.wakeAt(deadlineMs);
  return true;
}

/** Undefined for a slot in which this update has not made a task. */
function progressOf(draft: Draft, slot: Slot, settings: Settings): Progress | undefined {
  const made = madeByUpdate(draft.service, slot);
  const first = made[0];
  if (first === undefined) return undefined;
  const deadlineMs = deadlineOf(draft, first);
  const failed = made.find((task) => failedEarly(task, settings.monitorMs));
  const ran = made.map(ranSinceMs).filter((ms) => ms !== undefined);
  if (failed !== undefined) {
    const finishedAtMs = Math.min(failed.meta.updatedAtMs, ...ran);
    return { slot, finishedAtMs, failed: { task: failed, lateStart: false }, deadlineMs };
  }
  if (ran.length > 0) return { slot, finishedAtMs: Math.min(...ran), deadlineMs };
  if (draft.env.nowMs < deadlineMs) return { slot, deadlineMs };
  const lateStart = { task: made.at(-1) ?? first, lateStart: true };
  return { slot, finishedAtMs: deadlineMs, failed: lateStart, deadlineMs };
}

/**
 * While it may not begin for what its service waits for, it is never late. Nothing says when that
 * ended: from then on its time is counted from its last step.
 */
function deadlineOf(draft: Draft, task: Task): number {
  if (draft.waits !== undefined) return Infinity;
  const { nowMs } = draft.env;
  const beganMs = task.startAtMs ?? task.meta.createdAtMs;
  if (dependenciesOf(draft.service.spec).length === 0) return beganMs + startTimeoutMs;
  const hasWaited = task.status.err?.startsWith(waitsFor) === true;
  return Math.max(beganMs, hasWaited ? nowMs : task.status.atMs) + startTimeoutMs;
}

function ranSinceMs(task: Task): number | undefined {
  if (task.runningAtMs !== undefined) return task.runningAtMs;
  return task.status.state === 'running' || endedItself(task) ? task.meta.updatedAtMs : undefined;
}

/** Ended on its own before it ran, or within the monitoring time after. */
function failedEarly(task: Task, monitorMs: number): boolean {
  if (!endedItself(task)) return false;
  return task.runningAtMs === undefined || task.meta.updatedAtMs - task.runningAtMs <= monitorMs;
}

/** Returns whether the update has been stopped or turned round. */
function reactToFailures(
  draft: Draft,
  progress: readonly Progress[],
  outdated: readonly Slot[],
  settings: Settings,
): boolean {
  const failures = progress.flatMap((entry) => entry.failed ?? []);
  const [first] = failures;
  if (first === undefined || settings.action === 'continue') return false;
  const touched = new Set(progress.map(({ slot }) => slot));
  const total = progress.length + outdated.filter((slot) => !touched.has(slot)).length;
  if (failures.length / total <= settings.maxFailureRatio) return false;
  const { service } = draft;
  const rollingBack = service.updateStatus?.state === 'rollback_started';
  const cause = causeOf(first);
  if (settings.action === 'rollback' && !rollingBack && service.previousSpec !== undefined) {
    const message = `update rolled back due to ${cause}`;
    draft.changeService(rolledBack(service, message, draft.env.nowMs));
    return true;
  }
  // A rollback that fails is not rolled back: that would end where it began.
  draft.changeService(
    withStatus(
      service,
      rollingBack ? 'rollback_paused' : 'paused',
      `${rollingBack ? 'rollback' : 'update'} paused due to ${cause}`,
    ),
  );
  return true;
}

function causeOf({ task, lateStart }: NonNullable<Progress['failed']>): string {
  if (!lateStart) return `failure or early termination of task ${task.id}`;
  const why = task.status.err === undefined ? '' : `: ${task.status.err}`;
  return `task ${task.id} not having started within ${startTimeoutMs / 60_000} minutes${why}`;
}

/** The tasks of the previous spec that still run are those of the service again. */
function rolledBack(service: Service, message: string, nowMs: number): Service {
  const { previousSpec, previousSpecVersion, previousRegistryAuth, registryAuth, ...rest } =
    service;
  const auth = previousRegistryAuth ?? registryAuth;
  return {
    ...rest,
    spec: withScale(service.spec, previousSpec ?? service.spec),
    specVersion: previousSpecVersion ?? 0,
    ...(auth === undefined ? {} : { registryAuth: auth }),
    updateStatus: { state: 'rollback_started', startedAtMs: nowMs, message },
  };
}

function withStatus(service: Service, state: UpdateStatus['state'], message: string): Service {
  const startedAtMs = service.updateStatus?.startedAtMs ?? 0;
  return { ...service, updateStatus: { state, startedAtMs, message } };
}

/** Updates as many more slots as the parallelism leaves room for. */
function launch(
  draft: Draft,
  { outdated, inherited }: { outdated: readonly Slot[]; inherited: readonly Slot[] },
  progress: readonly Progress[],
  settings: Settings,
): void {
  const { nowMs } = draft.env;
  let busy = inherited.length;
  for (const { finishedAtMs, deadlineMs } of progress) {
    const freeAtMs = finishedAtMs === undefined ? undefined : finishedAtMs + settings.delayMs;
    if (freeAtMs !== undefined && freeAtMs <= nowMs) continue;
    busy++;
    draft.wakeAt(freeAtMs ?? deadlineMs);
  }
  let free = settings.parallelism === 0 ? Infinity : settings.parallelism - busy;
  for (const slot of launchOrder(outdated)) {
    if (free <= 0) return;
    const old = slot.tasks.filter(wanted);
    if (!draft.room(1 + old.length)) return;
    free--;
    if (isHandingOver(draft, slot)) {
      retireOutdated(draft, slot);
      continue;
    }
    const kept = settings.startFirst ? old.findLast(works) : undefined;
    for (const task of old) if (task !== kept) draft.desire(task, 'shutdown');
    const made = draft.create(slot, { waitForOthers: kept === undefined });
    // It may be that nothing ever comes of it that would have the service looked at again.
    draft.wakeAt((made.startAtMs ?? nowMs) + startTimeoutMs);
  }
}

/** Slots that do no work now go first: updating them costs nothing. */
function launchOrder(slots: readonly Slot[]): Slot[] {
  const atWork = (slot: Slot) => Number(slot.tasks.some((task) => wanted(task) && works(task)));
  return slots.toSorted((a, b) => atWork(a) - atWork(b) || a.number - b.number);
}

/** Completes the update once the last of its tasks has been watched for long enough. */
function finish(
  draft: Draft,
  { live, inherited }: { live: readonly Slot[]; inherited: readonly Slot[] },
  progress: readonly Progress[],
  settings: Settings,
): void {
  if (inherited.length > 0) return;
  const { nowMs } = draft.env;
  const watchMs = Math.max(settings.monitorMs, settings.delayMs + 1000);
  let doneAtMs = 0;
  for (const { finishedAtMs, deadlineMs } of progress) {
    if (finishedAtMs === undefined) draft.wakeAt(deadlineMs);
    doneAtMs = Math.max(doneAtMs, finishedAtMs === undefined ? Infinity : finishedAtMs + watchMs);
  }
  const replaced = live.every((slot) => !slot.tasks.some((t) => wanted(t) && draft.isDirty(t)));
  if (doneAtMs > nowMs && doneAtMs !== Infinity) draft.wakeAt(doneAtMs);
  if (doneAtMs > nowMs || !replaced) return;
  const rollingBack = draft.service.updateStatus?.state === 'rollback_started';
  const done = rollingBack
    ? withStatus(draft.service, 'rollback_completed', 'rollback completed')
    : withStatus(draft.service, 'completed', 'update completed');
  draft.changeService({
    ...done,
    updateStatus: { ...done.updateStatus!, completedAtMs: nowMs },
  });
}
