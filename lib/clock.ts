/** Time as a port: real in the daemon, virtual in tests and in the simulator. */
export interface Clock {
  /** Milliseconds since the epoch. May jump; for time stamps only. */
  nowMs(): number;
  /** Milliseconds that never go backwards; for measuring. */
  monotonicMs(): number;
  /** Calls back once, after at least `delayMs`. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, options?: { signal?: AbortSignal }): Promise<void>;
}

export interface Timer {
  cancel(): void;
}

/** The longest delay that the platform's timers take; longer ones would fire at once. */
const maxDelayMs = 2 ** 31 - 1;

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), maxDelayMs));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  sleep(delayMs, { signal } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(Math.max(0, delayMs), maxDelayMs),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
};

/** Waits for `work`, but no longer than `delayMs`. No timer is left behind: it would hold up an end. */
export async function atMost(clock: Clock, delayMs: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = clock.after(delayMs, late.resolve);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    timer.cancel();
  }
}

/** A clock that stands still until told to go on; timers fire in order of their time. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #sequence = 0;
  readonly #timers: { atMs: number; sequence: number; callback: () => void }[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      callback,
    };
    this.#timers.push(entry);
    this.#timers.sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(entry);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  sleep(delayMs: number, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        timer.cancel();
        reject(signal?.reason as Error);
      };
      const timer = this.after(delayMs, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The time of the next timer, if there is one. */
  nextTimerMs(): number | undefined {
    return this.#timers[0]?.atMs;
  }

  /** Moves on by `byMs`, firing each timer at its own time. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.#nowMs = next.atMs;
      next.callback();
    }
    this.#nowMs = endMs;
  }
}
