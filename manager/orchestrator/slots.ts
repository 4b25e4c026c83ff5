/** Steps that keep each slot filled: replacing what has failed, scaling, and letting start. */
import { constraintsOf, satisfiesAll } from '../scheduler/index.ts';
import {
  compareStates,
  isTerminal,
  type Node,
  type Service,
  type Task,
} from '../../types/index.ts';
import type { Draft, Slot } from './draft.ts';
import { faultOf, mayRestart, restartDelayMs } from './restart.ts';
import { hostModePorts, stopping, wanted } from './task.ts';

/** A held task waits for its predecessor's end at least this long, then starts all the same. */
const minPatienceMs = 60_000;
const defaultStopGraceMs = 10_000;

/**
 * The slot counts as one of the service's replicas: a task is wanted in it, or its last one has
 * stopped for good (the restart policy wants no successor).
 */
export function isLive(slot: Slot): boolean {
  return slot.tasks.some(wanted) || hasStopped(slot);
}

/** The slot's last task was stopped, and the restart policy gives it no successor. */
export function hasStopped(slot: Slot): boolean {
  if (slot.tasks.some(wanted)) return false;
  const last = slot.tasks.at(-1);
  return last !== undefined && last.desiredState === 'shutdown' && !mayRestart(last, slot.tasks);
}

/** Stops every wanted task that cannot do its work; it gets a successor where it may have one. */
export function replaceFailed(draft: Draft): void {
  for (const slot of draft.slots.values()) {
    for (const task of slot.tasks) {
      if (!wanted(task)) continue;
      const dirty = draft.isDirty(task);
      const spec = dirty ? task.spec : draft.service.spec.task;
      const fault = faultOf(draft.view, task, spec);
      if (fault === undefined) continue;
      const { nowMs } = draft.env;
      if (fault === 'ended' && task.desiredState === 'ready' && (task.startAtMs ?? 0) > nowMs) {
        // A held task may fail while it is prepared: the delay that it is held for is waited out,
        // or an image that does not exist would be tried again and again without a pause.
        draft.wakeAt(task.startAtMs ?? nowMs);
        continue;
      }
      if (!draft.room(2)) return;
      draft.desire(task, 'shutdown');
      // An old task that a start-first update still keeps is no stand-in for the new one.
      const others = slot.tasks.some(
        (other) => other.id !== task.id && wanted(other) && (dirty || !draft.isDirty(other)),
      );
      // A global service's slot is its node: there is nowhere else to go.
      const nowhere = slot.nodeId !== undefined && fault !== 'ended';
      if (others || nowhere || !mayRestart(task, slot.tasks)) continue;
      draft.create(slot, {
        startAtMs: fault === 'ended' ? nowMs + restartDelayMs(task.spec) : nowMs,
        // An update that is paused, or waits for another service, goes no further by way of
        // failures: what is lost comes back as it was.
        like: dirty && (isPaused(draft.service) || draft.waits !== undefined) ? task : undefined,
        waitForOthers: true,
      });
    }
  }
}

/** Adds replicas in the lowest free slots, or takes away the slots that are too many. */
export function scale(draft: Draft, replicas: number): void {
  const live = [...draft.slots.values()].filter(isLive);
  if (live.length > replicas) removeSlots(draft, live, live.length - replicas);
  else addSlots(draft, new Set(live.map((slot) => slot.number)), replicas - live.length);
  for (const slot of draft.slots.values()) {
    if (isLive(slot) || slot.tasks.length === 0) continue;
    for (const task of slot.tasks) if (draft.room(1)) draft.retire(task);
  }
}

/** One task on every node that the service may run on. */
export function spanNodes(draft: Draft): void {
  for (const slot of draft.slots.values()) {
    const node = draft.view.node(slot.nodeId ?? '');
    if (node !== undefined && belongsOn(draft.service, node)) continue;
    for (const task of slot.tasks) {
      if (!draft.room(1)) return;
      if (node === undefined) draft.retire(task);
      else if (wanted(task)) draft.desire(task, 'shutdown');
    }
  }
  for (const node of draft.view.nodes()) {
    if (node.status.state !== 'ready' || node.spec.availability !== 'active') continue;
    if (!belongsOn(draft.service, node)) continue;
    const slot = draft.slotOf(0, node.id);
    if (isLive(slot)) continue;
    if (!draft.room(1)) return;
    draft.create(slot, { waitForOthers: true });
  }
}

/** Lets held tasks run whose time has come and whose predecessors have stopped. */
export function releaseHeld(draft: Draft): void {
  const { nowMs } = draft.env;
  for (const slot of draft.slots.values()) {
    for (const task of slot.tasks) {
      if (task.desiredState !== 'ready' || isTerminal(task.status.state)) continue;
      const dueMs = task.startAtMs ?? nowMs;
      if (dueMs > nowMs) {
        draft.wakeAt(dueMs);
        continue;
      }
      const patienceMs = dueMs + patienceOf(task);
      if (nowMs < patienceMs && slot.tasks.some((other) => stopping(draft.view, other))) {
        draft.wakeAt(patienceMs);
        continue;
      }
      if (!draft.room(1)) return;
      draft.letGo(task);
    }
  }
}

export function isPaused(service: Service): boolean {
  const state = service.updateStatus?.state;
  return state === 'paused' || state === 'rollback_paused';
}

function patienceOf(task: Task): number {
  const graceMs = task.spec.container?.stopGracePeriodMs ?? defaultStopGraceMs;
  return Math.max(minPatienceMs, graceMs + minPatienceMs / 2);
}

function addSlots(draft: Draft, taken: ReadonlySet<number>, count: number): void {
  // A host's port is free only once the task that held it has stopped.
  const waitForOthers = hostModePorts(draft.service).length > 0;
  for (let number = 1, added = 0; added < count; number++) {
    if (taken.has(number)) continue;
    if (!draft.room(1)) return;
    draft.create(draft.slotOf(number), { waitForOthers });
    added++;
  }
}

function removeSlots(draft: Draft, live: readonly Slot[], count: number): void {
  for (const slot of removalOrder(live).slice(0, count)) {
    for (const task of slot.tasks) {
      if (!draft.room(1)) return;
      draft.retire(task);
    }
  }
}

/**
 * The slots, the first to go first: those without a node, then those that have stopped, then from
 * the nodes that have the most, so that what stays is spread evenly. At a tie what does not run
 * goes before what does, and a high number before a low one.
 */
export function removalOrder(slots: readonly Slot[]): Slot[] {
  const ranked = slots.map((slot) => {
    const task = slot.tasks.findLast(wanted);
    const running = task !== undefined && compareStates(task.status.state, 'running') === 0;
    return { slot, nodeId: task?.nodeId ?? '', stopped: task === undefined, running, copy: 0 };
  });
  ranked.sort((a, b) => Number(b.running) - Number(a.running) || a.slot.number - b.slot.number);
  const copies = new Map<string, number>();
  for (const entry of ranked) {
    if (entry.nodeId === '') continue;
    entry.copy = (copies.get(entry.nodeId) ?? 0) + 1;
    copies.set(entry.nodeId, entry.copy);
  }
  const group = (entry: (typeof ranked)[number]) => {
    if (entry.stopped) return 1;
    return entry.nodeId === '' ? 0 : 2;
  };
  return ranked
    .toSorted(
      (a, b) =>
        group(a) - group(b) ||
        b.copy - a.copy ||
        Number(a.running) - Number(b.running) ||
        b.slot.number - a.slot.number,
    )
    .map(({ slot }) => slot);
}

/** A global service's slot is its node: a task that is made for one that is lost never begins. */
export function hasPlace(draft: Draft, { nodeId }: Slot): boolean {
  if (nodeId === undefined) return true;
  const node = draft.view.node(nodeId);
  return node !== undefined && belongsOn(draft.service, node);
}

/** The node may run the global service's task, or the global job's; that it is ready now is another question. */
function belongsOn(service: Service, node: Node): boolean {
  return (
    node.status.state !== 'down' &&
    node.spec.availability !== 'drain' &&
    satisfiesAll(node, constraintsOf(service.spec.task.placement))
  );
}
