/** A process in virtual time: killed, its timers never fire; while it is paused, they wait. */
import type { Clock, Timer } from '../../../lib/clock.ts';
import { seededRandom, type Random } from '../../../lib/random.ts';
import type { Agenda } from '../agenda.ts';

/** The time since the epoch at which every run begins, milliseconds. */
export const epochMs = 1_700_000_000_000;

interface ProcessOptions {
  readonly seed: number;
  /** How far its wall clock is off, milliseconds. */
  readonly skewMs?: number;
}

export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly #agenda: Agenda;
  #alive = true;
  #pausedUntilMs = 0;
  readonly #onDeath = new Set<() => void>();

  constructor(name: string, agenda: Agenda, { seed, skewMs = 0 }: ProcessOptions) {
    this.name = name;
    this.#agenda = agenda;
    this.random = seededRandom(seed);
    this.clock = {
      nowMs: () => Math.round(epochMs + skewMs + agenda.now),
      monotonicMs: () => agenda.now,
      after: (delayMs, callback) => this.#after(delayMs, callback),
      sleep: (delayMs, options) => this.#sleep(delayMs, options?.signal),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  get isPaused(): boolean {
    return this.#pausedUntilMs > this.#agenda.now;
  }

  /** Nothing more happens in it; what waits in it waits for ever. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const tell of this.#onDeath) tell();
    this.#onDeath.clear();
  }

  onDeath(tell: () => void): Disposable {
    this.#onDeath.add(tell);
    return { [Symbol.dispose]: () => this.#onDeath.delete(tell) };
  }

  /** Stands still, as when the machine has no time for it. */
  pause(forMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#agenda.now + forMs);
  }

  resume(): void {
    this.#pausedUntilMs = 0;
  }

  /** Runs the work now, or when the process goes on, or never. */
  whenAwake(work: () => void): void {
    if (!this.#alive) return;
    if (!this.isPaused) work();
    else this.#agenda.after(this.#pausedUntilMs - this.#agenda.now, () => this.whenAwake(work));
  }

  #after(delayMs: number, callback: () => void): Timer {
    let isCancelled = false;
    this.#agenda.after(delayMs, () => {
      this.whenAwake(() => {
        if (!isCancelled) callback();
      });
    });
    return {
      cancel: () => {
        isCancelled = true;
      },
    };
  }

  #sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = this.#after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    return promise;
  }
}
