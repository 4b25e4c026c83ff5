/** When the kernel is compared with what is wanted: soon after a change, and every few seconds. */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';

/** Damage is to be put right within ten seconds. */
const everyMs = 5_000;
const afterChangeMs = 1_000;

interface AuditScheduleDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Begins with the first wish after its start; from then on it goes on until it is stopped. */
export class AuditSchedule {
  readonly #audit: () => Promise<unknown>;
  readonly #deps: AuditScheduleDeps;
  #timer: Timer | undefined;
  #dueMs = Infinity;
  #auditing: Promise<void> = Promise.resolve();
  #isRunning = false;

  constructor(audit: () => Promise<unknown>, deps: AuditScheduleDeps) {
    this.#audit = audit;
    this.#deps = deps;
  }

  start(): void {
    this.#isRunning = true;
  }

  now(): void {
    this.#within(0);
  }

  afterChange(): void {
    this.#within(afterChangeMs);
  }

  /** Resolves when the audit that goes on has ended. */
  settled(): Promise<void> {
    return this.#auditing;
  }

  /** Resolves when the audit that goes on has ended. */
  stop(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.cancel();
    return this.#auditing;
  }

  /** An audit that is due earlier is not put off: changes may come without end. */
  #within(delayMs: number): void {
    const { clock } = this.#deps;
    const dueMs = clock.monotonicMs() + delayMs;
    if (!this.#isRunning || dueMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    this.#timer = clock.after(delayMs, () => {
      this.#dueMs = Infinity;
      this.#auditing = this.#once();
    });
  }

  async #once(): Promise<void> {
    try {
      await this.#audit();
    } catch (error) {
      this.#deps.log.error('the networks cannot be compared with the kernel, and are tried again', {
        error: messageOf(error),
      });
    }
    this.#within(everyMs);
  }
}
