/** For tests of the session: an executor that is told what to say, and a link that can be cut. */
import { createServer, connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { SwarmError } from '../../lib/errors.ts';
import { parseAddr } from '../../lib/grpc/index.ts';
import type { AssignedTask, NodeDescription, Task, TaskStatus } from '../../types/index.ts';
import type { TaskAssignments, TaskExecutor } from '../executor/executor.ts';
import type { LogLine, LogQuery } from '../runtime/runtime.ts';

export const testDescription: NodeDescription = {
  hostname: 'h1',
  platform: { os: 'linux', architecture: 'x86_64' },
  resources: { nanoCpus: 2e9, memoryBytes: 1e9 },
  engine: { version: '0.1.0', labels: {}, plugins: [] },
};

/** Keeps what it is told, and says what the test says. */
export class FakeExecutor implements TaskExecutor {
  readonly tasks = new Map<string, AssignedTask>();
  readonly assignments: TaskAssignments[] = [];
  /** What it waits for before it says that assignments are taken. */
  taking: Promise<void> = Promise.resolve();
  readonly logLines = new Map<string, AsyncIterable<LogLine>>();
  readonly logQueries: { taskId: string; query: LogQuery; signal: AbortSignal }[] = [];
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #listeners = new Set<(taskId: string, status: TaskStatus) => void>();

  async start(): Promise<void> {}

  async assign(assignment: TaskAssignments): Promise<void> {
    this.assignments.push(assignment);
    if (assignment.complete) this.tasks.clear();
    for (const task of assignment.update) this.tasks.set(task.id, task);
    for (const id of assignment.remove) this.tasks.delete(id);
    await this.taking;
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

export function newTask(id: string, nodeId: string, changes: Partial<Task> = {}): Task {
  return {
    id,
    meta: { version: 0, createdAtMs: 0, updatedAtMs: 0 },
    serviceId: 'web',
    slot: 1,
    nodeId,
    spec: { forceUpdate: 0 },
    specVersion: 1,
    name: `web.1.${id}`,
    serviceName: 'web',
    desiredState: 'running',
    status: { state: 'assigned', atMs: 0, message: '' },
    ...changes,
  };
}

/** A TCP link that can be cut without either end being told. */
export async function startLink(target: string) {
  const { host, port } = parseAddr(target);
  const sockets = new Set<Socket>();
  let up = true;
  const server = createServer((near) => {
    if (!up) {
      sockets.add(near);
      near.pause();
      return;
    }
    const far = connectTcp(port, host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (data) => up && to.write(data));
      from.on('close', () => {
        sockets.delete(from);
        if (up) to.destroy();
      });
      from.on('error', () => from.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    addr: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => {
      up = false;
    },
    restore: () => {
      up = true;
      // What was in flight is lost: old connections stay dead, new ones work.
      for (const socket of sockets) socket.removeAllListeners('data').pause();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
