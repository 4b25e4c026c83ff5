/** Which old tasks are forgotten: those beyond the history limit, and those of removed nodes. */
import type { StoreView } from '../store/view.ts';
import { cronOf, isJobMode, isTerminal, type Service, type Task } from '../../types/index.ts';
import type { Draft, Slot } from './draft.ts';
import { evidenceLimit, evidenceOf } from './restart.ts';
import { hasStopped, isLive } from './slots.ts';
import { deletable, isComplete, wanted } from './task.ts';
import { isUpdating, madeByUpdate } from './update.ts';

const defaultHistoryLimit = 5;

/** A node that is down for this long is not expected back with its tasks. */
const orphanAfterMs = 24 * 3_600_000;

export function reap(draft: Draft): void {
  const limit = draft.view.cluster()?.spec.orchestration.taskHistoryLimit ?? defaultHistoryLimit;
  const cron = cronOf(draft.service.spec);
  const isCron = cron !== undefined;
  const expired = isCron ? expiredRuns(draft, cron.history ?? limit) : new Set<number>();
  for (const slot of draft.slots.values()) {
    if (slot.tasks.every(isHeld)) continue;
    giveUpOnLostNodes(draft, slot);
    const wasLive = isLive(slot);
    const kept = keptTasks(draft, slot);
    const goes = (task: Task) =>
      !isHeld(task) && !kept.has(task) && deletable(draft.view, task) && draft.room(1);
    for (const task of slot.tasks) {
      const purge =
        task.desiredState === 'remove' ||
        draft.view.node(task.nodeId) === undefined ||
        expired.has(task.jobIteration ?? 0);
      if (purge && goes(task)) draft.delete(task);
    }
    // What had the slot count as one that has stopped for good is forgotten: it is to be filled.
    if (wasLive && !isLive(slot)) draft.isToPlanAgain = true;
    if (limit < 0) continue;
    for (const tasks of isCron ? runsOf(slot) : [slot.tasks]) {
      const spec = tasks.at(-1)?.spec;
      let excess = tasks.length - Math.max(limit, spec === undefined ? 0 : evidenceLimit(spec));
      for (const task of tasks) {
        if (excess <= 0) break;
        if (!goes(task)) continue;
        draft.delete(task);
        excess--;
      }
    }
    if (draft.full) return;
  }
}

/** Wanted still, which a job's task that has completed no longer is. */
function isHeld(task: Task): boolean {
  return wanted(task) && !isComplete(task);
}

/** A slot's tasks by the runs of a cron service: each run has a history of its own. */
function runsOf({ tasks }: Slot): Iterable<Task[]> {
  return Map.groupBy(tasks, (task) => task.jobIteration).values();
}

/** Runs of a cron service that are beyond its history; the present one is no history yet. */
function expiredRuns({ service, slots }: Draft, limit: number): ReadonlySet<number> {
  if (limit < 0) return new Set();
  const present = service.jobStatus?.iteration ?? 0;
  const iterations = new Set<number>();
  for (const { tasks } of slots.values()) {
    for (const { jobIteration = 0 } of tasks)
      if (jobIteration < present) iterations.add(jobIteration);
  }
  return new Set([...iterations].sort((a, b) => b - a).slice(limit));
}

/** Tasks by which the slot is judged: that it has stopped for good, that its update failed. */
function keptTasks({ service, view }: Draft, slot: Slot): ReadonlySet<Task> {
  if (isJobMode(service.spec.mode)) return keptOfJob(service, slot, view);
  const kept = new Set(evidenceOf(slot.tasks).filter(isToStay));
  const last = slot.tasks.at(-1);
  if (last !== undefined && hasStopped(slot)) kept.add(last);
  if (isUpdating(service.updateStatus)) {
    const [made] = madeByUpdate(service, slot);
    if (made !== undefined) kept.add(made);
  }
  return kept;
}

/** What the present iteration has done in the slot, or why it does no more there. */
function keptOfJob({ jobStatus }: Service, slot: Slot, view: StoreView): ReadonlySet<Task> {
  // Without the node, a global job has nothing to do there.
  if (slot.nodeId !== undefined && view.node(slot.nodeId) === undefined) return new Set();
  const tasks = slot.tasks.filter((task) => task.jobIteration === jobStatus?.iteration);
  const last = tasks.at(-1);
  const isGivenUp = last !== undefined && hasStopped({ ...slot, tasks });
  const evidence = evidenceOf(tasks).filter(isToStay);
  return new Set([...tasks.filter(isComplete), ...evidence, ...(isGivenUp ? [last] : [])]);
}

function isToStay({ desiredState }: Task): boolean {
  return desiredState !== 'remove';
}

/**
 * When a task on a node that is down will be given up; undefined where the node is not down. Of one
 * on a node that is gone nothing will be heard any more.
 */
export function givenUpAtMs(view: StoreView, task: Task): number | undefined {
  const node = view.node(task.nodeId);
  if (node === undefined) return task.nodeId === '' ? undefined : 0;
  return node?.status.state === 'down' ? node.status.atMs + orphanAfterMs : undefined;
}

function giveUpOnLostNodes(draft: Draft, slot: Slot): void {
  const { nowMs } = draft.env;
  for (const task of slot.tasks) {
    if (wanted(task) || isTerminal(task.status.state)) continue;
    const dueMs = givenUpAtMs(draft.view, task);
    if (dueMs === undefined) continue;
    if (nowMs < dueMs) {
      draft.wakeAt(dueMs);
    } else if (draft.room(1)) {
      draft.mark(task, {
        ...task.status,
        state: 'orphaned',
        atMs: nowMs,
        message:
          dueMs === 0
            ? 'Task belonged to a node that has been deleted'
            : 'node has been down for 24 hours',
      });
    }
  }
}
