/** A node's executor for tests: keeps what it is told, and says what the test says. */
import { SwarmError } from '../../lib/errors.ts';
import type { AssignedTask, NodeDescription, TaskStatus } from '../../types/index.ts';
import type { TaskExecutor } from '../executor/executor.ts';
import type { LogLine, LogQuery } from '../runtime/runtime.ts';

export const testDescription: NodeDescription = {
  hostname: 'h1',
  platform: { os: 'linux', architecture: 'x86_64' },
  resources: { nanoCpus: 2e9, memoryBytes: 1e9 },
  engine: { version: '0.1.0', labels: {}, plugins: [] },
};

export class FakeExecutor implements TaskExecutor {
  readonly tasks = new Map<string, AssignedTask>();
  readonly assignments: {
    complete: boolean;
    update: readonly AssignedTask[];
    remove: readonly string[];
  }[] = [];
  readonly logLines = new Map<string, AsyncIterable<LogLine>>();
  readonly logQueries: { taskId: string; query: LogQuery; signal: AbortSignal }[] = [];
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #listeners = new Set<(taskId: string, status: TaskStatus) => void>();

  async start(): Promise<void> {}

  async assign(assignment: FakeExecutor['assignments'][number]): Promise<void> {
    this.assignments.push(assignment);
    if (assignment.complete) this.tasks.clear();
    for (const task of assignment.update) this.tasks.set(task.id, task);
    for (const id of assignment.remove) this.tasks.delete(id);
  }

  statuses(): ReadonlyMap<string, TaskStatus> {
    return this.#statuses;
  }

  /** A task of this node says something. */
  say(taskId: string, state: TaskStatus['state'], message = ''): void {
    const status = { state, atMs: Date.now(), message };
    this.#statuses.set(taskId, status);
    for (const listener of this.#listeners) listener(taskId, status);
  }

  onStatus(listener: (taskId: string, status: TaskStatus) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  logs(
    taskId: string,
    query: LogQuery,
    { signal }: { signal: AbortSignal },
  ): AsyncIterable<LogLine> {
    this.logQueries.push({ taskId, query, signal });
    const lines = this.logLines.get(taskId);
    if (lines === undefined)
      throw new SwarmError('not-found', `task ${taskId} is not on this node`);
    return lines;
  }

  async clear(): Promise<void> {
    this.tasks.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
