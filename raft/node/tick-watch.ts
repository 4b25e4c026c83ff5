/**
 * Tells ticks that count from those that do not. A process that stood still finds its timers due
 * before it has read what came meanwhile: a follower must not stand for election for that.
 */
export class TickWatch {
  readonly #tickMs: number;
  readonly #clock: { monotonicMs?(): number };
  #lastMs: number;
  #skipped = false;

  constructor(tickMs: number, clock: { monotonicMs?(): number }) {
    this.#tickMs = tickMs;
    this.#clock = clock;
    this.#lastMs = clock.monotonicMs?.() ?? 0;
  }

  /** The clock was not looked at for two ticks or more: whatever was counted by it may be over. */
  get stoodStill(): boolean {
    const nowMs = this.#clock.monotonicMs?.();
    return nowMs !== undefined && nowMs - this.#lastMs >= 2 * this.#tickMs;
  }

  /**
   * `late`: this one comes after a standstill; a second late one in a row counts, as a process that
   * is always late must go on. `early`: one of several at once.
   */
  next(): 'due' | 'late' | 'early' {
    const nowMs = this.#clock.monotonicMs?.();
    if (nowMs === undefined) return 'due';
    const passedMs = nowMs - this.#lastMs;
    if (passedMs < this.#tickMs / 2) return 'early';
    this.#lastMs = nowMs;
    this.#skipped = passedMs >= 2 * this.#tickMs && !this.#skipped;
    return this.#skipped ? 'late' : 'due';
  }
}
