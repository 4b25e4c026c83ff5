/** Lets so many pieces of work run at once; the others wait in order. */
import { withAbort } from '../../lib/abort.ts';

export class Limiter {
  readonly #max: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Rejects with the signal's reason when it aborts before the work's turn has come. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#running >= this.#max) await this.#turn(signal);
    else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // Its place is handed on, so that nobody who comes now overtakes.
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    try {
      await withAbort(promise, signal);
    } catch (error) {
      const index = this.#waiting.indexOf(resolve);
      if (index >= 0) {
        this.#waiting.splice(index, 1);
      } else {
        // The place came together with the abort: it goes to the next one.
        const next = this.#waiting.shift();
        if (next === undefined) this.#running--;
        else next();
      }
      throw error;
    }
  }
}
