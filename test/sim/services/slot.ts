import type { Task } from '../../../types/index.ts';

/** Names the slot among all those of the swarm; each run of a job has slots of its own. */
export function slotOf({ serviceId, slot, nodeId, forNodeId, jobIteration }: Task): string {
  if (jobIteration !== undefined) return `${serviceId}@${jobIteration}/${slot}/${forNodeId ?? ''}`;
  return `${serviceId}/${slot}/${slot === 0 ? nodeId || forNodeId : ''}`;
}
