/** What a node is to be told: its tasks, their networks and files. Pure: views in, messages out. */
import { AssignmentChange_Action, Assignments_Kind } from '../../gen/dispatcher_pb.js';
import { isTerminal, registryOfImage, type AssignedTask, type Task } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import { FileFeed, type FileChange } from './file-feed.ts';
import type { NetworkBook } from './network-book.ts';
import { NetworkFeed, type NetworkChange } from './network-feed.ts';
import type { StopGate } from './stop-gate.ts';
import { VolumeFeed, type VolumeChange } from './volume-feed.ts';
import { encodeJson } from './wire.ts';

interface TaskChange {
  readonly action: AssignmentChange_Action;
  readonly type: 'task';
  readonly id: string;
  readonly object?: Uint8Array;
}

export interface AssignmentSet {
  readonly kind: Assignments_Kind;
  readonly changes: readonly (TaskChange | NetworkChange | FileChange | VolumeChange)[];
}

type View = Pick<
  StoreView,
  'task' | 'tasksOfNode' | 'service' | 'file' | 'cluster' | 'volume' | 'volumes' | 'revisions'
>;

interface NodeAssignmentsParts {
  readonly view: View;
  readonly book: NetworkBook;
  readonly gate: Pick<StopGate, 'holds'>;
}

/** Changes in one incremental set; what is left stays dirty, so that messages stay small. */
const changesInSet = 500;
/** The same by size. A message that is too large for gRPC would end every session of the node's. */
const setBytesMax = 8 * 1024 * 1024;

/** Whether a change of the task is the node's business; what the node reports itself is not. */
export function concernsNode(old: Task | undefined, task: Task): boolean {
  if (old === undefined) return true;
  return (
    old.nodeId !== task.nodeId ||
    old.desiredState !== task.desiredState ||
    old.spec !== task.spec ||
    old.startAtMs !== task.startAtMs ||
    old.ports !== task.ports ||
    old.networks !== task.networks ||
    old.genericResources !== task.genericResources
  );
}

/** A set that the node was sent, and has not acknowledged. */
interface Unacknowledged {
  readonly revision: bigint;
  /** The version of the book that the node has taken in with it. */
  readonly version: number;
}

/** Tracks what one node knows, and says what it has to learn. */
export class NodeAssignments {
  /** What the node is told of networks. */
  readonly networks: NetworkFeed;
  /** What the node is told of cluster volumes. */
  readonly volumes: VolumeFeed;
  readonly #files: FileFeed;
  readonly #parts: NodeAssignmentsParts;
  readonly #nodeId: string;
  readonly #dirty = new Set<string>();
  /** Tasks that the node was told of, and was not told to remove. */
  readonly #known = new Set<string>();
  readonly #unacknowledged: Unacknowledged[] = [];
  /** As the last set that was made, and the last one that was acknowledged. */
  #madeVersion = -1;
  #takenVersion = -1;

  constructor(parts: NodeAssignmentsParts, nodeId: string) {
    this.#parts = parts;
    this.#nodeId = nodeId;
    this.networks = new NetworkFeed(parts.book, nodeId);
    this.#files = new FileFeed(parts.view);
    this.volumes = new VolumeFeed(parts.view, nodeId);
  }

  get dirty(): boolean {
    const feeds = [this.networks, this.volumes, this.#files];
    return this.#dirty.size > 0 || feeds.some(({ dirty }) => dirty);
  }

  /** Up to which version of the book the node has taken in what concerns it. */
  get takenVersion(): number {
    const upToDate = this.#unacknowledged.length === 0 && !this.networks.dirty;
    return upToDate ? this.#parts.book.version : this.#takenVersion;
  }

  mark(taskId: string): void {
    this.#dirty.add(taskId);
  }

  /** The set made last is on its way as this revision. */
  sent(revision: bigint): void {
    this.#unacknowledged.push({ revision, version: this.#madeVersion });
  }

  /** The node has taken in all sets up to this revision. */
  acknowledged(revision: bigint): void {
    for (;;) {
      const [first] = this.#unacknowledged;
      if (first === undefined || first.revision > revision) return;
      this.#unacknowledged.shift();
      this.#takenVersion = first.version;
    }
  }

  /**
   * All there is, but for contents of files where they are many: tasks wait for theirs. Of tasks
   * that are many, or large, some are only named: they stay on the node, and are told of later. A
   * task that is to be removed is the node's until it has stopped there and said so.
   */
  complete(): AssignmentSet {
    this.#dirty.clear();
    this.#known.clear();
    this.#files.clear();
    const changes: AssignmentSet['changes'][number][] = this.networks.complete();
    this.#madeVersion = this.#parts.book.version;
    let bytes = 0;
    for (const task of this.#parts.view.tasksOfNode(this.#nodeId)) {
      if (task.desiredState === 'remove' && isTerminal(task.status.state)) continue;
      this.#known.add(task.id);
      if (bytes > setBytesMax) {
        this.#dirty.add(task.id);
        changes.push({ action: AssignmentChange_Action.UPDATE, type: 'task', id: task.id });
        continue;
      }
      this.#files.put(task);
      const change = this.#update(task);
      bytes += change.object.length;
      changes.push(change);
    }
    changes.push(...this.#files.changes(), ...this.volumes.complete());
    return { kind: Assignments_Kind.COMPLETE, changes };
  }

  /**
   * What has changed since. Tasks are removed once they are gone from the store; they are told of
   * once the node has heard all that there is of their networks.
   */
  incremental(changesMax = changesInSet): AssignmentSet {
    const changes: AssignmentSet['changes'][number][] = this.networks.incremental(changesMax);
    if (!this.networks.dirty) {
      this.#madeVersion = this.#parts.book.version;
      this.#tasks(changes, changesMax);
      changes.push(...this.#files.changes(), ...this.volumes.changes());
    }
    return { kind: Assignments_Kind.INCREMENTAL, changes };
  }

  #tasks(changes: AssignmentSet['changes'][number][], changesMax: number): void {
    let bytes = 0;
    for (const id of this.#dirty) {
      if (changes.length >= changesMax || bytes > setBytesMax) break;
      this.#dirty.delete(id);
      const task = this.#parts.view.task(id);
      if (task?.nodeId === this.#nodeId) {
        this.#known.add(id);
        this.#files.put(task);
        const change = this.#update(task);
        bytes += change.object.length;
        changes.push(change);
      } else if (this.#known.delete(id)) {
        this.#files.remove(id);
        changes.push({ action: AssignmentChange_Action.REMOVE, type: 'task', id });
      }
    }
  }

  #update(task: Task): TaskChange & { readonly object: Uint8Array } {
    const service = this.#parts.view.service(task.serviceId);
    // A task of the previous spec needs the credentials that came with it.
    const registryAuth =
      service !== undefined && task.specVersion < service.specVersion
        ? (service.previousRegistryAuth ?? service.registryAuth)
        : service?.registryAuth;
    const assigned: AssignedTask = {
      ...task,
      ...(this.#parts.gate.holds(task.id) ? { desiredState: 'running' } : {}),
      serviceLabels: service?.spec.labels ?? {},
      ...(registryAuth === undefined ? {} : { registryAuth }),
      ...this.#loginFor(task),
      ...this.#logDefaultFor(task),
    };
    const object = encodeJson(assigned);
    return { action: AssignmentChange_Action.UPDATE, type: 'task', id: task.id, object };
  }

  #logDefaultFor({ spec }: Task): Pick<AssignedTask, 'defaultLogDriver'> {
    const logDriver = this.#parts.view.cluster()?.spec.taskDefaults.logDriver;
    if (spec.logDriver !== undefined || !logDriver?.name) return {};
    return { defaultLogDriver: logDriver };
  }

  /** What the swarm itself may pull the task's image with. */
  #loginFor({ spec }: Task): Pick<AssignedTask, 'registryLogin'> {
    const logins = this.#parts.view.cluster()?.registryLogins ?? [];
    if (logins.length === 0) return {};
    const registry = registryOfImage(spec.container?.image ?? '');
    const login = logins.find((one) => one.registry === registry);
    return login === undefined ? {} : { registryLogin: login.auth };
  }
}
