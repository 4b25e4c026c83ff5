/** Readers that follow the store at their own pace, within bounds. */
import { SwarmError } from '../../lib/errors.ts';
import type { ChangeBatch, ObjectEvent } from './event.ts';

export interface WatchOptions {
  /** Ends the iteration. */
  readonly signal: AbortSignal;
  /** Events that may wait for the reader; one entry's events always may. */
  readonly maxPending?: number;
}

/** Enough for a few of the largest entries, and a few megabytes at most. */
const defaultMaxPending = 10_000;

/**
 * Every event from the moment of construction, in order. `next` rejects with `resource-exhausted`
 * when the reader fell too far behind, or when a snapshot replaced the state: it must list again.
 */
export class Watch implements AsyncIterableIterator<ObjectEvent> {
  readonly #maxPending: number;
  readonly #onEnd: () => void;
  readonly #signal: AbortSignal;
  readonly #batches: (readonly ObjectEvent[])[] = [];
  #position = 0;
  #pending = 0;
  #error: SwarmError | undefined;
  #ended = false;
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(options: WatchOptions, onEnd: () => void) {
    this.#maxPending = options.maxPending ?? defaultMaxPending;
    this.#signal = options.signal;
    this.#onEnd = onEnd;
    if (this.#signal.aborted) this.#end();
    else this.#signal.addEventListener('abort', this.#end, { once: true });
  }

  /** Called by the store. Events are shared between watches, never copied. */
  push(batch: ChangeBatch): void {
    if (this.#ended) return;
    if (batch.restored) {
      this.#fail('the state was replaced by a snapshot; list the objects again');
      return;
    }
    const { length } = batch.events;
    if (length === 0) return;
    if (this.#pending > 0 && this.#pending + length > this.#maxPending) {
      this.#fail(
        `the reader fell behind by more than ${this.#maxPending} events; list the objects again`,
      );
      return;
    }
    this.#batches.push(batch.events);
    this.#pending += length;
    this.#wake();
  }

  async next(): Promise<IteratorResult<ObjectEvent, undefined>> {
    for (;;) {
      const event = this.#batches[0]?.[this.#position];
      if (event !== undefined) {
        this.#pending -= 1;
        this.#position += 1;
        if (this.#position === this.#batches[0]?.length) {
          this.#batches.shift();
          this.#position = 0;
        }
        return { done: false, value: event };
      }
      if (this.#error !== undefined) {
        const error = this.#error;
        this.#error = undefined;
        throw error;
      }
      if (this.#ended) return { done: true, value: undefined };
      this.#waiting ??= Promise.withResolvers<void>();
      await this.#waiting.promise;
    }
  }

  return(): Promise<IteratorResult<ObjectEvent, undefined>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #fail(message: string): void {
    this.#error = new SwarmError('resource-exhausted', message);
    this.#end();
  }

  /** What waits is dropped: a reader that left or fell behind has no use for it. */
  readonly #end = (): void => {
    this.#ended = true;
    this.#batches.length = 0;
    this.#position = 0;
    this.#pending = 0;
    this.#signal.removeEventListener('abort', this.#end);
    this.#onEnd();
    this.#wake();
  };

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
