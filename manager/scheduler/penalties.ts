/** Nodes where a service has failed often of late: they are the last that its tasks go to. */
import type { StoreView } from '../store/view.ts';
import type { Task } from '../../types/index.ts';
import type { NodeTable } from './node-table.ts';

/** On a node where a service's present spec failed this often of late, its tasks go last. */
const manyFailures = 5;
const failureMemoryMs = 5 * 60_000;

/** Failures of late of the task's service and spec on a node, where they are many; else 0. */
export function penaltiesOf(
  view: StoreView,
  table: NodeTable,
  sample: Task,
  nowMs: number,
): (number: number) => number {
  const counts = new Map<number, number>();
  for (const task of view.tasksOfService(sample.serviceId)) {
    if (task.specVersion !== sample.specVersion || !failed(task)) continue;
    if (task.meta.updatedAtMs < nowMs - failureMemoryMs) continue;
    const number = table.numberOf(task.nodeId);
    if (number !== undefined) counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  if (counts.size === 0) return () => 0;
  return (number) => {
    const count = counts.get(number) ?? 0;
    return count >= manyFailures ? count : 0;
  };
}

function failed({ status }: Task): boolean {
  return status.state === 'failed' || status.state === 'rejected';
}
