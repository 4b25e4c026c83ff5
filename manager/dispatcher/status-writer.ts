import type { Clock, Timer } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { NodeDescription, NodeStatus, TaskStatus } from '../../types/index.ts';
import type { Change } from '../store/change.ts';

/** Proposes changes; resolves once they are durable. */
export type Propose = (
  changes: readonly Change[],
  options: { readonly atMs: number },
) => Promise<unknown>;

interface Batch {
  readonly tasks: Map<string, TaskStatus>;
  readonly nodes: Map<string, NodeChange>;
  readonly durable: PromiseWithResolvers<void>;
  /** Characters of all that was put in, also of what something later took the place of. */
  size: number;
}

type NodeChange = { readonly status?: NodeStatus; readonly description?: NodeDescription };

/** Statuses that arrive within this time of one another travel in one proposal. */
const delayMs = 5;
const batchMax = 2_000;
/**
 * Of characters. What is too large for the log is refused for good, and everything behind it would
 * wait for ever: a node may say 64 KB of each of its tasks.
 */
const batchSizeMax = 4 * 1024 * 1024;
const retryMs = 100;

/**
 * Commits what nodes report: the last status of each task wins, one proposal at a time, so that
 * what is said later is also written later. Retries until it is stopped: a report is not lost
 * because the log was busy.
 */
export class StatusWriter {
  readonly #parts: { readonly propose: Propose; readonly clock: Clock; readonly log: Logger };
  readonly #queue: Batch[] = [];
  #timer: Timer | undefined;
  #writing = false;
  #stopped = false;

  constructor(parts: { propose: Propose; clock: Clock; log: Logger }) {
    this.#parts = parts;
  }

  /** Resolves once all of them are durable; rejects when the writer is stopped before. */
  async tasks(statuses: ReadonlyMap<string, TaskStatus>): Promise<void> {
    if (statuses.size === 0) return;
    const waits = new Set<Promise<void>>();
    for (const [id, status] of statuses) {
      const batch = this.#open(status);
      batch.tasks.set(id, status);
      waits.add(batch.durable.promise);
    }
    await Promise.all(waits);
  }

  async node(nodeId: string, change: NodeChange): Promise<void> {
    const batch = this.#open(change);
    batch.nodes.set(nodeId, { ...batch.nodes.get(nodeId), ...change });
    await batch.durable.promise;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    const reason = new SwarmError('unavailable', 'this manager leads no more; ask another one');
    for (const batch of this.#queue.splice(0)) batch.durable.reject(reason);
  }

  /** The batch that takes what is said. */
  #open(said: TaskStatus | NodeChange): Batch {
    if (this.#stopped) {
      throw new SwarmError('unavailable', 'this manager leads no more; ask another one');
    }
    const last = this.#queue.at(-1);
    // The first one is being written: it takes nothing more.
    const open = last !== undefined && !(this.#writing && this.#queue.length === 1);
    const { length: size } = JSON.stringify(said);
    const isFull = (batch: Batch) =>
      batch.tasks.size + batch.nodes.size >= batchMax || batch.size + size > batchSizeMax;
    if (open && !isFull(last)) {
      last.size += size;
      return last;
    }
    const batch: Batch = {
      tasks: new Map(),
      nodes: new Map(),
      durable: Promise.withResolvers<void>(),
      size,
    };
    this.#queue.push(batch);
    this.#schedule(delayMs);
    return batch;
  }

  #schedule(afterMs: number): void {
    if (this.#writing || this.#stopped || this.#timer !== undefined) return;
    this.#timer = this.#parts.clock.after(afterMs, () => {
      this.#timer = undefined;
      void this.#write();
    });
  }

  async #write(): Promise<void> {
    const batch = this.#queue[0];
    if (batch === undefined || this.#stopped) return;
    this.#writing = true;
    let nextMs = delayMs;
    try {
      await this.#parts.propose(changesOf(batch), { atMs: this.#parts.clock.nowMs() });
      // A batch that `stop` has rejected meanwhile is no longer in the queue.
      if (this.#queue[0] === batch) this.#queue.shift();
      batch.durable.resolve();
    } catch (error) {
      nextMs = retryMs;
      this.#parts.log.warn('cannot write statuses', { error: SwarmError.from(error).message });
    }
    this.#writing = false;
    if (this.#queue.length > 0) this.#schedule(nextMs);
  }
}

function changesOf(batch: Batch): Change[] {
  return [
    ...[...batch.nodes].map(([id, change]) => ({ op: 'node-status' as const, id, ...change })),
    ...[...batch.tasks].map(([id, status]) => ({ op: 'task-status' as const, id, status })),
  ];
}
