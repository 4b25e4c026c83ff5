/** What a task is to its service: how one is made, and whether it still is what the spec asks. */
import type { Random } from '../../lib/random.ts';
import { constraintsOf, satisfiesAll } from '../scheduler/index.ts';
import { publishesIngress, type StoreView } from '../store/view.ts';
import {
  isTerminal,
  isWanted,
  type DesiredState,
  type PortConfig,
  type Service,
  type Task,
  type TaskSpec,
} from '../../types/index.ts';
import { sameDocument } from './equal.ts';

interface NewTask {
  readonly service: Service;
  readonly slot: number;
  readonly forNodeId?: string | undefined;
  readonly jobIteration?: number | undefined;
  readonly desiredState: DesiredState;
  readonly startAtMs?: number | undefined;
  /** Made from this task's spec instead of the service's. */
  readonly like?: Task | undefined;
}

export function newTask(made: NewTask, env: { nowMs: number; random: Random }): Task {
  const { service, slot, forNodeId, startAtMs, like, jobIteration } = made;
  const id = env.random.id();
  const ports = like === undefined ? hostModePorts(service) : (like.ports ?? []);
  return {
    id,
    meta: { version: 0, createdAtMs: env.nowMs, updatedAtMs: env.nowMs },
    serviceId: service.id,
    slot,
    nodeId: '',
    ...(forNodeId === undefined ? {} : { forNodeId }),
    ...(jobIteration === undefined ? {} : { jobIteration }),
    spec: like?.spec ?? service.spec.task,
    specVersion: like?.specVersion ?? service.specVersion,
    name: `${service.spec.name}.${forNodeId ?? slot}.${id}`,
    serviceName: service.spec.name,
    desiredState: made.desiredState,
    status: { state: 'new', atMs: env.nowMs, message: 'created' },
    ...(startAtMs === undefined ? {} : { startAtMs }),
    ...(ports.length === 0 ? {} : { ports }),
  };
}

export function hostModePorts(service: Service): readonly PortConfig[] {
  const ports = service.ports ?? service.spec.endpoint?.ports ?? [];
  return ports.filter((port) => port.publishMode === 'host');
}

/**
 * Tells which tasks differ from their service's spec. A change of nothing but the placement does not
 * make a task dirty that runs where the new placement allows it; nor does another port, or none, in
 * the routing mesh, as long as the task is on its network exactly if it has to be. Answers are
 * remembered by spec, as all tasks of a version share theirs.
 */
export function dirtiness(view: StoreView, service: Service): (task: Task) => boolean {
  const ports = hostModePorts(service);
  const isOnMesh = publishesIngress(service.spec);
  const meshId = view.ingressNetwork()?.id;
  const specs = new Map<TaskSpec, 'same' | 'placement' | 'other'>();
  const compare = (spec: TaskSpec) => {
    const { placement: oldPlacement, ...old } = spec;
    const { placement: newPlacement, ...present } = service.spec.task;
    if (!sameDocument(old, present)) return 'other';
    return sameDocument(oldPlacement ?? {}, newPlacement ?? {}) ? 'same' : 'placement';
  };
  return (task) => {
    if (task.specVersion === service.specVersion) return false;
    let difference = specs.get(task.spec);
    if (difference === undefined) specs.set(task.spec, (difference = compare(task.spec)));
    if (difference === 'other' || !sameDocument(task.ports ?? [], ports)) return true;
    const { networks = [] } = task;
    const wasOnMesh = networks.some(({ networkId }) => networkId === meshId);
    if (assigned(task) && wasOnMesh !== isOnMesh) return true;
    if (difference === 'same') return false;
    const node = view.node(task.nodeId);
    return node === undefined || !satisfiesAll(node, constraintsOf(service.spec.task.placement));
  };
}

export function wanted(task: Task): boolean {
  return isWanted(task.desiredState);
}

/** Ended on its own, as opposed to having been told to stop. */
export function endedItself(task: Task): boolean {
  const { state } = task.status;
  return state === 'complete' || state === 'failed' || state === 'rejected';
}

export function isComplete(task: Task): boolean {
  return task.status.state === 'complete';
}

export function assigned(task: Task): boolean {
  return task.nodeId !== '';
}

/** Told to stop, and as far as can be known its container may still run. */
export function stopping(view: StoreView, task: Task): boolean {
  if (wanted(task) || isTerminal(task.status.state) || !assigned(task)) return false;
  const node = view.node(task.nodeId);
  return node !== undefined && node.status.state !== 'down';
}

/** No longer wanted, and nothing of it is left on a node that could still tell. */
export function deletable(view: StoreView, task: Task): boolean {
  return isTerminal(task.status.state) || !assigned(task) || view.node(task.nodeId) === undefined;
}
