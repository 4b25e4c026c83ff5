/** What a node is to be told of its tasks. Pure: the store's view in, messages out. */
import { AssignmentChange_Action, Assignments_Kind } from '../../gen/dispatcher_pb.js';
import { isTerminal, type AssignedTask, type Task } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import { encodeJson } from './wire.ts';

export interface AssignmentSet {
  readonly kind: Assignments_Kind;
  readonly changes: readonly {
    readonly action: AssignmentChange_Action;
    readonly type: 'task';
    readonly id: string;
    readonly object?: Uint8Array;
  }[];
}

type View = Pick<StoreView, 'task' | 'tasksOfNode' | 'service'>;

/** Changes in one incremental set; what is left stays dirty, so that messages stay small. */
const changesMax = 500;

/** Whether a change of the task is the node's business; what the node reports itself is not. */
export function concernsNode(old: Task | undefined, task: Task): boolean {
  if (old === undefined) return true;
  return (
    old.nodeId !== task.nodeId ||
    old.desiredState !== task.desiredState ||
    old.spec !== task.spec ||
    old.startAtMs !== task.startAtMs ||
    old.ports !== task.ports ||
    old.genericResources !== task.genericResources
  );
}

/** Tracks what one node knows, and says what it has to learn. */
export class NodeAssignments {
  readonly #view: View;
  readonly #nodeId: string;
  readonly #dirty = new Set<string>();
  /** Tasks that the node was told of, and was not told to remove. */
  readonly #known = new Set<string>();

  constructor(view: View, nodeId: string) {
    this.#view = view;
    this.#nodeId = nodeId;
  }

  get dirty(): boolean {
    return this.#dirty.size > 0;
  }

  mark(taskId: string): void {
    this.#dirty.add(taskId);
  }

  /**
   * All there is. A task that is to be removed is the node's until it has stopped there and said so.
   */
  complete(): AssignmentSet {
    this.#dirty.clear();
    this.#known.clear();
    const changes = [];
    for (const task of this.#view.tasksOfNode(this.#nodeId)) {
      if (task.desiredState === 'remove' && isTerminal(task.status.state)) continue;
      this.#known.add(task.id);
      changes.push(update(this.#view, task));
    }
    return { kind: Assignments_Kind.COMPLETE, changes };
  }

  /** What has changed since. Tasks are removed once they are gone from the store. */
  incremental(): AssignmentSet {
    const changes = [];
    for (const id of this.#dirty) {
      if (changes.length >= changesMax) break;
      this.#dirty.delete(id);
      const task = this.#view.task(id);
      if (task?.nodeId === this.#nodeId) {
        this.#known.add(id);
        changes.push(update(this.#view, task));
      } else if (this.#known.delete(id)) {
        changes.push({ action: AssignmentChange_Action.REMOVE, type: 'task' as const, id });
      }
    }
    return { kind: Assignments_Kind.INCREMENTAL, changes };
  }
}

function update(view: View, task: Task) {
  const service = view.service(task.serviceId);
  // A task of the previous spec needs the credentials that came with it.
  const registryAuth =
    service !== undefined && task.specVersion < service.specVersion
      ? (service.previousRegistryAuth ?? service.registryAuth)
      : service?.registryAuth;
  const assigned: AssignedTask = {
    ...task,
    serviceLabels: service?.spec.labels ?? {},
    ...(registryAuth === undefined ? {} : { registryAuth }),
  };
  return {
    action: AssignmentChange_Action.UPDATE,
    type: 'task' as const,
    id: task.id,
    object: encodeJson(assigned),
  };
}
