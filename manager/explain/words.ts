/** Phrases that every explanation uses. */
import type { StoreView } from '../store/view.ts';
import type { Node, Reason, Task } from '../../types/index.ts';

export function about(topic: Reason['about'], text: string): Reason {
  return { about: topic, text };
}

/** "12 s", "4 min", "3 h", "2 d": whole units, the largest that fits. */
export function lasting(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

export function hostnameOf(node: Node): string {
  return node.description?.hostname || node.id;
}

/** "h1", or the id of a node that is gone. */
export function nodeName(view: StoreView, nodeId: string): string {
  const node = view.node(nodeId);
  return node === undefined ? `${nodeId} (removed)` : hostnameOf(node);
}

/** `web.3`, or `web.h1` for a task that belongs to its node. */
export function slotName(view: StoreView, task: Task): string {
  const { forNodeId, slot } = task;
  const place = forNodeId === undefined ? String(slot) : nodeName(view, forNodeId);
  return `${task.serviceName}.${place}`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The tasks that share the task's slot (a global service's: its node), oldest first. */
export function slotOf(view: StoreView, task: Task): readonly Task[] {
  const key = (one: Task) => one.forNodeId ?? String(one.slot);
  const own = key(task);
  return [...view.tasksOfService(task.serviceId)]
    .filter((one) => key(one) === own)
    .toSorted((a, b) => a.meta.createdAtMs - b.meta.createdAtMs || a.specVersion - b.specVersion);
}

/** Why it ended, as its node told: "non-zero exit (1)". */
export function endOf({ status }: Task): string {
  const why = status.err ?? status.message;
  return why === '' ? status.state : `${status.state}: ${why}`;
}
