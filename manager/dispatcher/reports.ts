/** What becomes of nodes' reports, and of tasks whose nodes report no more. Pure. */
import { isDeepStrictEqual } from 'node:util';
import {
  compareStates,
  isNodeLocal,
  isTerminal,
  type Task,
  type TaskStatus,
} from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';

/** A node that is down for this long is not waited for: its tasks are written off. */
export const orphanAfterMs = 24 * 3_600_000;

/**
 * The statuses that tell something: of tasks that are this node's, and beyond what is known. After
 * a reconnect nodes report everything anew, and that is to cost nothing.
 */
export function newsworthy(
  view: Pick<StoreView, 'task' | 'network'>,
  nodeId: string,
  statuses: ReadonlyMap<string, TaskStatus>,
): Map<string, TaskStatus> {
  const news = new Map<string, TaskStatus>();
  for (const [id, said] of statuses) {
    const task = view.task(id);
    if (task?.nodeId !== nodeId) continue;
    const status = withOwnNetworks(view, task, said);
    const order = compareStates(status.state, task.status.state);
    if (order > 0 || (order === 0 && saysMore(task.status, status))) news.set(id, status);
  }
  return news;
}

/**
 * A node gives addresses on networks that each node makes for itself, and on no other: with one of
 * another task's on an overlay it would get what all other nodes send to that task.
 */
function withOwnNetworks(
  view: Pick<StoreView, 'network'>,
  task: Task,
  status: TaskStatus,
): TaskStatus {
  if (status.networks === undefined) return status;
  const { networks: said, ...rest } = status;
  const networks = said.filter(({ networkId }) => {
    const network = view.network(networkId);
    const isOnIt = task.networks?.some((one) => one.networkId === networkId) === true;
    return isOnIt && network !== undefined && isNodeLocal(network.spec);
  });
  return networks.length === 0 ? rest : { ...rest, networks };
}

function saysMore(present: TaskStatus, next: TaskStatus): boolean {
  const said = ({ message, err, container, ports, networks }: TaskStatus) => [
    message,
    err,
    container,
    ports,
    networks,
  ];
  return !isDeepStrictEqual(said(present), said(next));
}

/** The tasks that were on nodes which have been down for a day. */
export function orphanedTasks(
  view: Pick<StoreView, 'nodes' | 'tasksOfNode'>,
  nowMs: number,
): Map<string, TaskStatus> {
  const statuses = new Map<string, TaskStatus>();
  for (const { id, status } of view.nodes()) {
    if (status.state !== 'down' || nowMs - status.atMs < orphanAfterMs) continue;
    for (const task of view.tasksOfNode(id)) {
      if (isTerminal(task.status.state)) continue;
      const message = 'its node has been down for over a day';
      statuses.set(task.id, { ...task.status, state: 'orphaned', atMs: nowMs, message });
    }
  }
  return statuses;
}
