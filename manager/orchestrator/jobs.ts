/** Jobs: so many tasks are to complete for each iteration, or one on each node. */
import { constraintsOf, satisfiesAll } from '../scheduler/index.ts';
import { cronOf } from '../../types/index.ts';
import { runByClock } from './cron.ts';
import type { Draft, Slot } from './draft.ts';
import { tasksOfRun, progressOf, standingOf } from './job-run.ts';
import { reap } from './reap.ts';
import { faultOf, mayRestart, restartDelayMs } from './restart.ts';
import { releaseHeld } from './slots.ts';
import { isComplete, wanted } from './task.ts';

export function planJob(draft: Draft): void {
  runByClock(draft);
  stopEarlierRuns(draft);
  replaceFailed(draft);
  if (draft.service.spec.mode.globalJob === undefined) fill(draft);
  else spanNodes(draft);
  releaseHeld(draft);
  reap(draft);
}

/** A new iteration takes the place of the one before it; runs of a cron service may be let end. */
function stopEarlierRuns(draft: Draft): void {
  const { service } = draft;
  const overlap = cronOf(service.spec)?.overlap;
  if (overlap === 'allow' || overlap === 'forbid') return;
  for (const slot of draft.slots.values()) {
    for (const task of slot.tasks) {
      if (task.jobIteration === service.jobStatus?.iteration) continue;
      // As in Docker, a global job leaves no history of its earlier iterations.
      const isLeft = slot.nodeId === undefined || overlap !== undefined;
      if (isLeft && (!wanted(task) || isComplete(task))) continue;
      if (!draft.room(1)) return;
      if (overlap === undefined) draft.retire(task);
      else draft.desire(task, 'shutdown');
    }
  }
}

/**
 * Tasks that have failed or lost their node get a successor, where they may have one. It is of the
 * service's present spec: whoever corrects what makes a run fail need not wait for the next one.
 */
function replaceFailed(draft: Draft): void {
  const { nowMs } = draft.env;
  for (const slot of draft.slots.values()) {
    for (const task of slot.tasks) {
      if (!wanted(task) || isComplete(task)) continue;
      const mates = () => tasksOfRun(slot, task.jobIteration);
      // Its predecessor was thought lost, and has ended well all the same.
      const isDone = mates().some(isComplete);
      const fault = isDone ? 'ended' : faultOf(draft.view, task, task.spec);
      if (fault === undefined) continue;
      const isHeld = task.desiredState === 'ready' && (task.startAtMs ?? 0) > nowMs;
      if (isHeld && fault === 'ended' && !isDone) {
        // It failed while it was prepared: the delay that it is held for is waited out.
        draft.wakeAt(task.startAtMs ?? nowMs);
        continue;
      }
      if (!draft.room(2)) return;
      draft.desire(task, 'shutdown');
      const others = mates().some((other) => other.id !== task.id && wanted(other));
      // A global job's slot is its node: there is nowhere else to go.
      const nowhere = slot.nodeId !== undefined && fault !== 'ended';
      if (isDone || others || nowhere || !mayRestart(task, mates())) continue;
      draft.create(slot, {
        startAtMs: fault === 'ended' ? nowMs + restartDelayMs(task.spec) : nowMs,
        jobIteration: task.jobIteration,
        waitForOthers: true,
      });
    }
  }
}

/** Begins as many more tasks as may run at once, in the lowest slots that are free. */
function fill(draft: Draft): void {
  const { done, open, givenUp, maxConcurrent, totalCompletions } = progressOf(draft);
  const left = totalCompletions - done - open - givenUp;
  const count = Math.min(maxConcurrent - open, left);
  for (let number = 0, added = 0; added < count; number++) {
    const slot = draft.slotOf(number);
    if (standingOf(tasksOfRun(slot, draft.service.jobStatus?.iteration)) !== 'free') continue;
    if (!begin(draft, slot)) return;
    added++;
  }
}

/** One task on every node that has had none in this iteration. */
function spanNodes(draft: Draft): void {
  const { service } = draft;
  const cron = cronOf(service.spec);
  if (cron !== undefined && service.cronStatus?.run === undefined) return;
  const constraints = constraintsOf(service.spec.task.placement);
  for (const node of draft.view.nodes()) {
    if (node.status.state !== 'ready' || node.spec.availability !== 'active') continue;
    // Who joins after the tick waits for the next one.
    const begunMs = service.jobStatus?.lastExecutionMs ?? 0;
    if (cron !== undefined && node.meta.createdAtMs > begunMs) continue;
    if (!satisfiesAll(node, constraints)) continue;
    const slot = draft.slotOf(0, node.id);
    if (standingOf(tasksOfRun(slot, service.jobStatus?.iteration)) !== 'free') continue;
    if (!begin(draft, slot)) return;
  }
}

function begin(draft: Draft, slot: Slot): boolean {
  if (!draft.room(1)) return false;
  draft.create(slot, { waitForOthers: true });
  return true;
}
