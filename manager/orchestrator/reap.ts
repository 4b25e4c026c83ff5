/** Which old tasks are forgotten: those beyond the history limit, and those of removed nodes. */
import type { StoreView } from '../store/view.ts';
import { isTerminal, type Service, type Task } from '../../types/index.ts';
import type { Draft, Slot } from './draft.ts';
import { evidenceLimit } from './restart.ts';
import { hasStopped } from './slots.ts';
import { deletable, wanted } from './task.ts';
import { isUpdating, madeByUpdate } from './update.ts';

const defaultHistoryLimit = 5;

/** A node that is down for this long is not expected back with its tasks. */
const orphanAfterMs = 24 * 3_600_000;

export function reap(draft: Draft): void {
  const limit = draft.view.cluster()?.spec.orchestration.taskHistoryLimit ?? defaultHistoryLimit;
  for (const slot of draft.slots.values()) {
    if (slot.tasks.every(wanted)) continue;
    giveUpOnLostNodes(draft, slot);
    const kept = keptTasks(draft.service, slot);
    for (const task of slot.tasks) {
      const purge = task.desiredState === 'remove' || draft.view.node(task.nodeId) === undefined;
      if (!purge || wanted(task) || kept.has(task) || !deletable(draft.view, task)) continue;
      if (!draft.room(1)) return;
      draft.delete(task);
    }
    if (limit < 0) continue;
    const spec = slot.tasks.at(-1)?.spec;
    const slotLimit = Math.max(limit, spec === undefined ? 0 : evidenceLimit(spec));
    let excess = slot.tasks.length - slotLimit;
    for (const task of slot.tasks) {
      if (excess <= 0) break;
      if (wanted(task) || kept.has(task) || !deletable(draft.view, task)) continue;
      if (!draft.room(1)) return;
      draft.delete(task);
      excess--;
    }
  }
}

/** Tasks by which the slot is judged: that it has stopped for good, that its update failed. */
function keptTasks(service: Service, slot: Slot): ReadonlySet<Task> {
  const kept = new Set<Task>();
  const last = slot.tasks.at(-1);
  if (last !== undefined && hasStopped(slot)) kept.add(last);
  if (isUpdating(service.updateStatus)) {
    const [made] = madeByUpdate(service, slot);
    if (made !== undefined) kept.add(made);
  }
  return kept;
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
