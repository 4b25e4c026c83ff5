/** Keeps this manager's lock as the swarm's cluster object wishes, and its data key young. */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Cluster } from '../../types/index.ts';
import type { ObjectEvent } from '../store/event.ts';
import type { KeyStore } from './key-store.ts';

export interface LockKeeperParts {
  readonly store: {
    cluster(): Cluster | undefined;
    watch(options: { signal: AbortSignal }): AsyncIterable<ObjectEvent>;
  };
  readonly keys: KeyStore;
  /** Encrypts the node's private key anew, with the newest secret. */
  readonly protectIdentity: () => Promise<void>;
  /** Has the log go over to the present data key. */
  readonly renewLogKey: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

const checkEveryMs = 3_600_000;
const retryMs = 5_000;
/** Nonces are random: a key is left long before two of them may be the same. */
const dataKeyLifeMs = 30 * 24 * 3_600_000;
const dataKeyUses = 2 ** 31;

export class LockKeeper implements AsyncDisposable {
  readonly #parts: LockKeeperParts;
  readonly #stop = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(parts: LockKeeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#running = Promise.all([this.#follow(), this.#rotateInTime()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#parts.keys.settled();
  }

  async #follow(): Promise<void> {
    const { store, log } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const events = store.watch({ signal });
        await this.#apply();
        for await (const event of events) if (event.table === 'cluster') await this.#apply();
      } catch (error) {
        if (signal.aborted) return;
        // A watch ends when a snapshot replaces the state; a write, when the disk is full.
        log.warn('looking at the lock again', { error });
        await this.#pause(retryMs);
      }
    }
  }

  /**
   * The version decides, not whether keys differ: a manager that starts may know less of the swarm
   * for a moment than it did when it put the lock on.
   */
  async #apply(): Promise<void> {
    const { store, keys, protectIdentity, renewLogKey, log } = this.#parts;
    const lock = store.cluster()?.managerLock;
    if (lock === undefined || lock.version <= keys.lockVersion) return;
    const wasLocked = keys.unlockKey !== undefined;
    const isLocked = lock.unlockKey !== '';
    await keys.setLock(isLocked ? lock.unlockKey : undefined, lock.version);
    log.info(isLocked ? "this manager's keys are locked" : "this manager's keys are not locked", {
      lockVersion: lock.version,
    });
    if (wasLocked || !isLocked) return;
    // A daemon that stops before these are done does them when it starts.
    await protectIdentity();
    await keys.forgetNodeSecrets();
    await renewLogKey();
  }

  async #rotateInTime(): Promise<void> {
    const { keys, clock, renewLogKey, log } = this.#parts;
    while (!this.#stop.signal.aborted) {
      const ageMs = clock.nowMs() - keys.dataKeyCreatedAtMs;
      try {
        if (ageMs > dataKeyLifeMs || keys.cipher.encrypted > dataKeyUses) {
          await keys.rotateDataKey();
          await renewLogKey();
          log.info('the log is encrypted with a new key');
        }
      } catch (error) {
        log.warn('the key of the log could not be renewed', { error });
      }
      await this.#pause(checkEveryMs);
    }
  }

  async #pause(delayMs: number): Promise<void> {
    const { signal } = this.#stop;
    try {
      await this.#parts.clock.sleep(delayMs, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
