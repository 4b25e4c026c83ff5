/** Work that goes on for as long as its owner, with a rest before each round. */
import type { Clock } from './clock.ts';

interface RecurringParts {
  /** The rest before the next round, milliseconds. */
  readonly restMs: () => number;
  readonly round: () => Promise<void>;
  /** A round that failed is not the end: the next one comes after its rest. */
  readonly onFailure: (error: unknown) => void;
  readonly clock: Clock;
}

export class Recurring implements AsyncDisposable {
  readonly #parts: RecurringParts;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(parts: RecurringParts) {
    this.#parts = parts;
  }

  /** Aborts when this is disposed of: a round may be waiting. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves once the round that is under way has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { restMs, round, onFailure, clock } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await clock.sleep(restMs(), { signal });
        await round();
      } catch (error) {
        if (!signal.aborted) onFailure(error);
      }
    }
  }
}
