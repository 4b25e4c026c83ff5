import type { MessageInitShape } from '@bufbuild/protobuf';
import type { StatusBatchSchema } from '../../gen/dispatcher_pb.js';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { TaskStatus } from '../../types/index.ts';
import type { TaskExecutor } from '../executor/executor.ts';

type Batch = MessageInitShape<typeof StatusBatchSchema>;

/** Statuses that come within this time of the first travel together. */
const delayMs = 5;
const batchMax = 1_000;

/**
 * Reports the tasks' statuses over one session: first all of them, then each change; the last one
 * of a task wins while it waits. One batch is on its way at a time: the next follows when the
 * managers have made it durable.
 */
export class Reporter implements Disposable {
  readonly #clock: Clock;
  readonly #send: (batch: Batch) => void;
  readonly #watch: Disposable;
  readonly #pending: Map<string, TaskStatus>;
  #sequence = 0n;
  #inFlight = false;
  #timer: Timer | undefined;

  constructor(executor: TaskExecutor, clock: Clock, send: (batch: Batch) => void) {
    this.#clock = clock;
    this.#send = send;
    this.#pending = new Map(executor.statuses());
    this.#watch = executor.onStatus((taskId, status) => {
      this.#pending.set(taskId, status);
      this.#schedule();
    });
    this.#flush();
  }

  accepted(sequence: bigint): void {
    if (sequence !== this.#sequence) return;
    this.#inFlight = false;
    this.#flush();
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#inFlight || this.#timer !== undefined) return;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#inFlight || this.#pending.size === 0) return;
    const updates = [];
    for (const [taskId, status] of this.#pending) {
      if (updates.length >= batchMax) break;
      this.#pending.delete(taskId);
      updates.push({ taskId, status: Buffer.from(JSON.stringify(status)) });
    }
    this.#sequence += 1n;
    this.#inFlight = true;
    this.#send({ updates, sequence: this.#sequence });
  }
}
