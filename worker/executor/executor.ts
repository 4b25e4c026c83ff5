/**
 * Runs the tasks that a manager assigned to this node: the port between the session with a manager
 * (worker/agent) and the machinery below it. It keeps its own durable copy of the assignments, so
 * tasks run on, also across a restart of the daemon, while no manager can be reached.
 */
import type { AssignedTask, TaskStatus } from '../../types/index.ts';
import type { LogLine, LogQuery } from '../runtime/runtime.ts';

export interface TaskExecutor extends AsyncDisposable {
  /** Loads the local copy, adopts running containers and removes what belongs to no task. */
  start(): Promise<void>;
  /**
   * Takes assignments. `complete`: `update` is all there is, and every other task is stopped and
   * forgotten. Resolves when the local copy is durable; the work itself goes on behind it.
   */
  assign(assignments: {
    readonly complete: boolean;
    readonly update: readonly AssignedTask[];
    readonly remove: readonly string[];
  }): Promise<void>;
  /** The present status of every task: what is reported after a reconnect. */
  statuses(): ReadonlyMap<string, TaskStatus>;
  /** Called at each change of a task's status, in order. */
  onStatus(listener: (taskId: string, status: TaskStatus) => void): Disposable;
  /** Lines of one task's container. Throws SwarmError `not-found` for a task that is not here. */
  logs(taskId: string, query: LogQuery, options: { signal: AbortSignal }): AsyncIterable<LogLine>;
  /** Stops and removes every container and forgets all tasks: the node leaves its swarm. */
  clear(): Promise<void>;
}
