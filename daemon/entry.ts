/** How a manager comes to be one of those that decide, and how the others know where it is. */
import type { Clock } from '../lib/clock.ts';
import { SwarmError, type ErrorCode } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';

const enterEveryMs = 500;
const enterPollMs = 10;
const enterTimeoutMs = 60_000;
/** What ends by itself: no leader for a moment, another change of the managers under way. */
const mayPass: ReadonlySet<ErrorCode> = new Set(['unavailable', 'resource-exhausted', 'aborted']);

interface EntryParts {
  readonly advertiseAddr: string;
  /** The manager that this one was told to join through. */
  readonly joinThrough: string | undefined;
  /** Where managers are, as far as this node's agent knows; the leader first. */
  readonly knownManagers: () => readonly string[];
  readonly leaderAddr: () => string | undefined;
  readonly isMember: () => boolean;
  /** The others have this manager's present address. */
  readonly isKnown: () => boolean;
  /** Asks the manager at `through` to let this one in, or to write down where it is now. */
  readonly join: (
    through: string,
    advertiseAddr: string,
    options: { readonly signal: AbortSignal },
  ) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Entry {
  readonly #parts: EntryParts;

  constructor(parts: EntryParts) {
    this.#parts = parts;
  }

  /** Has the others let this manager in. Throws what keeps them from that, unless it may pass. */
  async enter({ signal }: { signal: AbortSignal }): Promise<void> {
    const { clock, isMember, log } = this.#parts;
    const deadlineMs = clock.monotonicMs() + enterTimeoutMs;
    for (let attempt = 0; !isMember(); attempt++) {
      try {
        await this.#ask(attempt, signal);
        // The leader knows it a moment earlier.
        while (!isMember() && clock.monotonicMs() < deadlineMs) {
          await clock.sleep(enterPollMs, { signal });
        }
      } catch (thrown) {
        signal.throwIfAborted();
        const error = SwarmError.from(thrown);
        if (!mayPass.has(error.code) || clock.monotonicMs() > deadlineMs) throw error;
        log.info('this manager is not let in yet', { error: error.message });
        await clock.sleep(enterEveryMs, { signal });
      }
    }
  }

  /**
   * Resolves once this manager is a member and the others know where it is: it may have been
   * promoted a moment ago, or have moved while it was away.
   */
  async settle(signal: AbortSignal): Promise<void> {
    const { clock, isKnown, isMember, log } = this.#parts;
    for (let attempt = 0; !isMember() || !isKnown(); attempt++) {
      try {
        await this.#ask(attempt, signal);
      } catch (error) {
        signal.throwIfAborted();
        log.debug('the managers do not know yet where this one is', { error });
      }
      await clock.sleep(enterEveryMs, { signal });
    }
  }

  /** Asks the leader; where that is not known, the managers that may know it, in turn. */
  async #ask(attempt: number, signal: AbortSignal): Promise<void> {
    const { advertiseAddr, join, joinThrough, knownManagers, leaderAddr } = this.#parts;
    const known = [joinThrough ?? '', ...knownManagers()];
    const others = [...new Set(known)].filter((addr) => addr !== '' && addr !== advertiseAddr);
    const through = leaderAddr() ?? others[attempt % others.length];
    if (through === undefined) throw new SwarmError('unavailable', 'no other manager is known');
    await join(through, advertiseAddr, { signal });
  }
}
