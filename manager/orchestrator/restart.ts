/** The restart policy, judged by the tasks in the store: nothing is counted in memory. */
import type { StoreView } from '../store/view.ts';
import { constraintsOf, satisfiesAll } from '../scheduler/index.ts';
import { isTerminal, type Task, type TaskSpec, type VolumeAttachment } from '../../types/index.ts';
import { crowdedOut } from './crowded.ts';
import { assigned, endedItself } from './task.ts';

const defaultDelayMs = 5000;

/** What keeps a wanted task from doing its work, if something does. */
type Fault =
  /** It has ended: the policy and its delay decide. */
  | 'ended'
  /** Its node is down or gone: it is replaced at once. */
  | 'node-lost'
  /**
   * Its node or a volume of it is drained, or the node no longer fits, or has no room: moved at
   * once.
   */
  | 'unwelcome';

/** A node that is only suspect (`disconnected`, `unknown`) is no fault yet. */
export function faultOf(view: StoreView, task: Task, spec: TaskSpec): Fault | undefined {
  if (isTerminal(task.status.state)) {
    return task.status.state === 'orphaned' ? 'node-lost' : 'ended';
  }
  if (!assigned(task)) return undefined;
  const node = view.node(task.nodeId);
  if (node === undefined || node.status.state === 'down') return 'node-lost';
  if (node.spec.availability === 'drain') return 'unwelcome';
  const isDrained = ({ id }: VolumeAttachment) =>
    view.volume(id)?.spec.cluster.availability === 'drain';
  if (task.volumes?.some(isDrained) === true) return 'unwelcome';
  if (!satisfiesAll(node, constraintsOf(spec.placement))) return 'unwelcome';
  return crowdedOut(view, task, node) === undefined ? undefined : 'unwelcome';
}

export function restartDelayMs(spec: TaskSpec): number {
  return spec.restartPolicy?.delayMs ?? defaultDelayMs;
}

/**
 * Whether the policy gives the task a successor. `slot` holds all tasks of its slot, in any order.
 * Depends on nothing but the tasks, so that the answer stays the same when it is asked again.
 */
export function mayRestart(task: Task, slot: readonly Task[]): boolean {
  const policy = task.spec.restartPolicy;
  const condition = policy?.condition ?? 'any';
  if (condition === 'none') return false;
  if (condition === 'on-failure' && task.status.state === 'complete') return false;
  const maxAttempts = policy?.maxAttempts ?? 0;
  if (maxAttempts === 0 || !endedItself(task)) return true;
  return attemptsBefore(task, slot).length < maxAttempts;
}

/**
 * The tasks that have failed before this one, as the policy counts them. One of another spec is a
 * new beginning, also where a rollback goes back to a spec that has failed before.
 */
function attemptsBefore(task: Task, slot: readonly Task[]): Task[] {
  const windowMs = task.spec.restartPolicy?.windowMs ?? 0;
  const sinceMs = windowMs === 0 ? -Infinity : task.status.atMs - windowMs;
  let begunMs = -Infinity;
  for (const { specVersion, meta } of slot) {
    const isOther = specVersion !== task.specVersion && meta.createdAtMs < task.meta.createdAtMs;
    if (isOther) begunMs = Math.max(begunMs, meta.createdAtMs);
  }
  return slot.filter(
    (other) =>
      other.id !== task.id &&
      other.specVersion === task.specVersion &&
      endedItself(other) &&
      // As old as what it follows: an update may be as quick as that.
      other.meta.createdAtMs >= begunMs &&
      other.status.atMs > sinceMs,
  );
}

/** The tasks of a slot, oldest first, that the policy judges its last one by. */
export function evidenceOf(slot: readonly Task[]): readonly Task[] {
  const last = slot.at(-1);
  const maxAttempts = last?.spec.restartPolicy?.maxAttempts ?? 0;
  if (last === undefined || maxAttempts === 0) return [];
  return [...attemptsBefore(last, slot).slice(-maxAttempts), last];
}

/** Tasks of a slot that are kept however small the history limit: the policy judges by them. */
export function evidenceLimit(spec: TaskSpec): number {
  const maxAttempts = spec.restartPolicy?.maxAttempts ?? 0;
  return maxAttempts === 0 ? 0 : maxAttempts + 1;
}
