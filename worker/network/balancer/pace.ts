/** Lets the event loop have its turn after each stretch of work. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../lib/clock.ts';

const stretchMs = 4;

export class Pace {
  readonly #clock: Clock;
  #sinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  async step(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#sinceMs < stretchMs) return;
    await setImmediate();
    this.#sinceMs = this.#clock.monotonicMs();
  }
}
