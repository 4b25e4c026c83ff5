/** Why a task that has a node does not have its volumes there yet, in words for `service ps`. */
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import {
  compareStates,
  isWanted,
  type ClusterVolume,
  type Task,
  type TaskStatus,
} from '../../types/index.ts';

/** Every such sentence begins so, with the volume's name behind it. */
const waitingPrefix = 'volume ';

/** The statuses of tasks that wait for the volume, or wait no more, where they say otherwise. */
export function waitingFor(view: StoreView, volumeId: string): Change[] {
  return [...view.tasksOfVolume(volumeId)].flatMap((task) => {
    const { status } = task;
    if (!isWanted(task.desiredState) || compareStates(status.state, 'running') >= 0) return [];
    const why = whyWaits(view, task);
    if (why === undefined && status.err?.startsWith(waitingPrefix) !== true) return [];
    if (why === status.err) return [];
    const { err: _old, ...rest } = status;
    const next: TaskStatus = why === undefined ? rest : { ...rest, err: why };
    return [{ op: 'task-status', id: task.id, status: next } as const];
  });
}

function whyWaits(view: StoreView, task: Task): string | undefined {
  for (const { id } of task.volumes ?? []) {
    const volume = view.volume(id);
    const why = volume === undefined ? 'is there no more' : lacks(view, volume, task.nodeId);
    if (why !== undefined) return `${waitingPrefix}${volume?.spec.name ?? id}: ${why}`;
  }
  return undefined;
}

function lacks(view: StoreView, volume: ClusterVolume, nodeId: string): string | undefined {
  const name = (id: string) => view.node(id)?.description?.hostname ?? id;
  const own = volume.publishStatus.find((status) => status.nodeId === nodeId);
  if (own === undefined) {
    const [other] = volume.publishStatus;
    if (other === undefined) return `waiting for the driver ${volume.spec.driver.name ?? ''}`;
    return `waiting for ${name(other.nodeId)} to let go of it${because(other.trouble?.message)}`;
  }
  if (own.state === 'published') return undefined;
  const what =
    own.state === 'pending-publish'
      ? `waiting for it to be published to ${name(nodeId)}`
      : `waiting for ${name(nodeId)} to let go of it first`;
  return `${what}${because(own.trouble?.message)}`;
}

function because(message: string | undefined): string {
  return message === undefined ? '' : `: ${message}`;
}
