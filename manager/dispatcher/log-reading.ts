import type { Timer } from '../../lib/clock.ts';
import { compareStates, isTerminal, type Service, type Task } from '../../types/index.ts';
import { BoundedQueue } from './bounded-queue.ts';
import type { LogBrokerParts } from './log-broker.ts';

interface LogLine {
  /** Nanoseconds since the epoch. */
  readonly timeNs: bigint;
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
}

export interface LogQuery {
  readonly follow: boolean;
  /** Lines from the end; absent: all. */
  readonly tail?: number;
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export type LogItem = { readonly task: Task; readonly line: LogLine } | { readonly notice: string };

/** A request to one node, and the stream that answers it. */
export interface Leg {
  readonly nodeId: string;
  opened(): void;
  /** Resolves once there is room; false when nobody reads any longer. */
  line(taskId: string, line: LogLine): Promise<boolean>;
  notice(text: string): Promise<void>;
  done(): void;
  broke(reason: string): void;
}

const queueItemsMax = 512;
/** A node that does not begin to answer within this time is not waited for. */
const answerTimeoutMs = 10_000;
const namesMax = 5;

/** One reader's request, over all nodes that have a part in it. */
export class LogReading {
  readonly #target: { readonly service: Service } | { readonly task: Task };
  readonly #query: LogQuery;
  readonly #parts: LogBrokerParts;
  readonly #allLegs: Map<string, Leg>;
  readonly #queue = new BoundedQueue<LogItem>(queueItemsMax);
  readonly #cleanup = new DisposableStack();
  readonly #open = new Map<string, { nodeId: string; tasks: Map<string, Task> }>();
  /** Every task that was asked for, and the time of its last line: where to go on after a break. */
  readonly #asked = new Map<string, bigint>();
  /** Tasks whose node went away in mid-stream: asked again when it is back. */
  readonly #interrupted = new Set<string>();
  #closed = false;

  constructor(
    target: { readonly service: Service } | { readonly task: Task },
    query: LogQuery,
    parts: LogBrokerParts,
    allLegs: Map<string, Leg>,
  ) {
    this.#target = target;
    this.#query = query;
    this.#parts = parts;
    this.#allLegs = allLegs;
  }

  start(): void {
    if (this.#closed) return;
    if (this.#query.follow) {
      this.#cleanup.use(
        this.#parts.store.onChange(({ events }) => {
          const ours = events.some(
            ({ table, object }) =>
              (table === 'task' && this.#concerns(object)) ||
              (table === 'service' && 'service' in this.#target),
          );
          if (ours) queueMicrotask(() => this.#look());
        }),
      );
    }
    this.#cleanup.use(
      this.#parts.dispatcher.onSession((nodeId, connected) => this.#onSession(nodeId, connected)),
    );
    this.#look();
  }

  async *items(): AsyncIterable<LogItem> {
    for (;;) {
      const items = await this.#queue.take();
      if (items === undefined) return;
      yield* items;
    }
  }

  /** Asks the nodes to stop, and ends the reader's loop. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const [id, { nodeId }] of this.#open) {
      this.#allLegs.delete(id);
      this.#tell(nodeId, { id, close: true });
    }
    this.#open.clear();
    this.#cleanup.dispose();
    this.#queue.close();
  }

  #concerns(task: Task): boolean {
    return 'service' in this.#target
      ? task.serviceId === this.#target.service.id
      : task.id === this.#target.task.id;
  }

  /** Asks for the tasks that can be asked for and were not yet. */
  #look(): void {
    if (this.#closed) return;
    const fresh = this.#tasks().filter((task) => !this.#asked.has(task.id) && hasLogs(task));
    this.#ask(fresh);
    this.#maybeEnd();
  }

  #tasks(): Task[] {
    const { store } = this.#parts;
    if ('service' in this.#target) return [...store.tasksOfService(this.#target.service.id)];
    const task = store.task(this.#target.task.id);
    return task === undefined ? [] : [task];
  }

  #ask(tasks: readonly Task[]): void {
    const byNode = Map.groupBy(tasks, (task) => task.nodeId);
    for (const [nodeId, ofNode] of byNode) {
      for (const task of ofNode) {
        if (!this.#asked.has(task.id)) this.#asked.set(task.id, -1n);
      }
      this.#request(nodeId, ofNode);
    }
  }

  #request(nodeId: string, tasks: readonly Task[]): void {
    const id = this.#parts.random.id();
    const resumed = tasks.some((task) => (this.#asked.get(task.id) ?? -1n) >= 0n);
    const lastNs = tasks.map((task) => this.#asked.get(task.id) ?? -1n);
    const earliestNs = lastNs.reduce((a, b) => (a < b ? a : b));
    const query = this.#query;
    const sent = this.#tell(nodeId, {
      id,
      taskIds: tasks.map((task) => task.id),
      follow: query.follow,
      tail: BigInt(resumed ? -1 : (query.tail ?? -1)),
      sinceMs: Math.max(query.sinceMs ?? 0, Number(earliestNs / 1_000_000n)),
      untilMs: query.untilMs ?? 0,
      stdout: query.stdout,
      stderr: query.stderr,
    });
    if (!sent) {
      this.#unavailable(nodeId, tasks);
      return;
    }
    const byId = new Map(tasks.map((task) => [task.id, task]));
    this.#open.set(id, { nodeId, tasks: byId });
    this.#allLegs.set(id, this.#leg(id, nodeId, byId));
  }

  #leg(id: string, nodeId: string, tasks: ReadonlyMap<string, Task>): Leg {
    const resumedNs = new Map([...tasks.keys()].map((taskId) => [taskId, this.#asked.get(taskId)]));
    const timer: Timer = this.#parts.clock.after(answerTimeoutMs, () => {
      // The session broke off meanwhile, of which the reader has been told.
      if (!this.#open.has(id)) return;
      void this.#queue.push({ notice: `${this.#logsOf(nodeId, tasks)}: the node does not answer` });
      this.#end(id);
    });
    return {
      nodeId,
      opened: () => timer.cancel(),
      line: async (taskId, line) => {
        const task = tasks.get(taskId);
        // What was read before a break comes once more, as times are asked for in milliseconds.
        if (task === undefined || line.timeNs <= (resumedNs.get(taskId) ?? -1n)) {
          return !this.#closed;
        }
        this.#asked.set(taskId, line.timeNs);
        return this.#queue.push({ task, line });
      },
      notice: async (text) => {
        await this.#queue.push({ notice: text });
      },
      done: () => this.#end(id),
      broke: (reason) => {
        timer.cancel();
        this.#interrupt(id, reason);
      },
    };
  }

  #end(id: string): void {
    this.#open.delete(id);
    this.#allLegs.delete(id);
    this.#maybeEnd();
  }

  #interrupt(id: string, reason: string): void {
    const leg = this.#open.get(id);
    if (leg === undefined || this.#closed) return;
    void this.#queue.push({ notice: `${this.#logsOf(leg.nodeId, leg.tasks)}: ${reason}` });
    if (this.#query.follow) for (const taskId of leg.tasks.keys()) this.#interrupted.add(taskId);
    this.#end(id);
  }

  #unavailable(nodeId: string, tasks: readonly Task[]): void {
    const state = this.#parts.store.node(nodeId)?.status.state;
    const reasons = { down: 'node is down', gone: 'node has been removed' };
    const reason =
      state === 'down'
        ? reasons.down
        : state === undefined
          ? reasons.gone
          : 'node is not connected';
    const byId = new Map(tasks.map((task) => [task.id, task]));
    void this.#queue.push({ notice: `${this.#logsOf(nodeId, byId)}: ${reason}` });
    if (this.#query.follow) for (const task of tasks) this.#interrupted.add(task.id);
  }

  #onSession(nodeId: string, connected: boolean): void {
    if (!connected) {
      for (const [id, leg] of this.#open) {
        if (leg.nodeId === nodeId) this.#interrupt(id, 'the connection to the node broke off');
      }
      return;
    }
    const tasks = [...this.#interrupted]
      .map((id) => this.#parts.store.task(id))
      .filter((task) => task?.nodeId === nodeId);
    for (const task of tasks) if (task !== undefined) this.#interrupted.delete(task.id);
    this.#ask(tasks.filter((task) => task !== undefined));
  }

  /** Ends the reader's loop when nothing more can come. */
  #maybeEnd(): void {
    if (this.#closed || this.#open.size > 0) return;
    if (this.#query.follow && this.#mayStillCome()) return;
    this.close();
  }

  #mayStillCome(): boolean {
    const { store } = this.#parts;
    if ('service' in this.#target) return store.service(this.#target.service.id) !== undefined;
    const task = store.task(this.#target.task.id);
    if (task === undefined) return false;
    return !isTerminal(task.status.state) || this.#interrupted.has(task.id);
  }

  #tell(
    nodeId: string,
    subscription: Parameters<LogBrokerParts['dispatcher']['subscribeLogs']>[1],
  ): boolean {
    return this.#parts.dispatcher.subscribeLogs(nodeId, subscription);
  }

  #logsOf(nodeId: string, tasks: ReadonlyMap<string, Task>): string {
    const names = [...tasks.values()].map((task) => task.name);
    const more = names.length - namesMax;
    const listed = names.slice(0, namesMax).join(', ') + (more > 0 ? ` and ${more} more` : '');
    const host = this.#parts.store.node(nodeId)?.description?.hostname ?? nodeId;
    const word = names.length === 1 ? 'task' : 'tasks';
    return `logs of ${word} ${listed} on node ${host} cannot be had`;
  }
}

/** A container was, or is about to be, started. A rejected task never had one. */
function hasLogs({ nodeId, status }: Task): boolean {
  return (
    nodeId !== '' && status.state !== 'rejected' && compareStates(status.state, 'starting') >= 0
  );
}
