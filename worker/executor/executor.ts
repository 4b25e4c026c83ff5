/**
 * Runs the tasks that a manager assigned to this node: the port between the session with a manager
 * (worker/agent) and the machinery below it. It keeps its own durable copy of the assignments, so
 * tasks run on, also across a restart of the daemon, while no manager can be reached.
 */
import type { AssignedTask, NetworkAssignments, TaskStatus } from '../../types/index.ts';
import type { VolumeAssignments } from '../csi/index.ts';
import type { FileAssignments } from './file-vault.ts';
import type { LogLine, LogQuery } from '../runtime/runtime.ts';

export interface TaskAssignments {
  /** `update` and `kept` are all there is, and every other task is stopped and forgotten. */
  readonly complete: boolean;
  /** Tasks that stay as they are; a later set tells more of them. Absent: none. */
  readonly kept?: readonly string[];
  /**
   * A desired state only ever rises. After a change of leaders a task that is to stop already may
   * be said to run for a moment longer: the later state that was heard before holds.
   */
  readonly update: readonly AssignedTask[];
  readonly remove: readonly string[];
  /** To be taken before the tasks, which count on their networks; `complete` as the whole is. */
  readonly networks: NetworkAssignments;
  /** Secrets and configs, kept in memory only; tasks wait for theirs. Absent: nothing new. */
  readonly files?: FileAssignments;
  /** Cluster volumes published to this node; tasks wait for theirs. Absent: nothing new. */
  readonly volumes?: VolumeAssignments;
}

/** Tasks that have no container of their own, but one of a person's on a network. */
export interface AttachmentExecutor {
  /** As `TaskExecutor.assign`; to be called once the networks are as they should be. */
  assign(change: {
    readonly complete: boolean;
    readonly kept: readonly string[];
    readonly update: readonly AssignedTask[];
    readonly remove: readonly string[];
  }): void;
  statuses(): ReadonlyMap<string, TaskStatus>;
  onStatus(listener: (taskId: string, status: TaskStatus) => void): Disposable;
}

export interface TaskExecutor extends AsyncDisposable {
  /** Loads the local copy, adopts running containers and removes what belongs to no task. */
  start(): Promise<void>;
  /**
   * Takes assignments. Resolves when the local copy of the tasks is durable, and the kernel
   * reflects `networks`: managers stop a task once every node has taken its endpoint away. The work
   * on the tasks goes on behind it.
   */
  assign(assignments: TaskAssignments): Promise<void>;
  /** The present status of every task: what is reported after a reconnect. */
  statuses(): ReadonlyMap<string, TaskStatus>;
  /** Called at each change of a task's status, in order. */
  onStatus(listener: (taskId: string, status: TaskStatus) => void): Disposable;
  /** Called when a cluster volume has been let go of, as was asked; absent: there are none. */
  onReleased?(listener: (volumeId: string, publication: string) => void): Disposable;
  /** Lines of one task's container. Throws SwarmError `not-found` for a task that is not here. */
  logs(taskId: string, query: LogQuery, options: { signal: AbortSignal }): AsyncIterable<LogLine>;
  /** Stops and removes every container and forgets all tasks: the node leaves its swarm. */
  clear(): Promise<void>;
}
