/** Carrying on while the swarm has no leader, or the daemon is started anew. */
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';

/** An election, or a daemon that restarts, takes less; what takes longer is told. */
const patienceMs = 30_000;
const electionMs = 10_000;
const pauseMs = 200;

/**
 * Asks again while the daemon cannot be reached or cannot answer. Only for requests that change
 * nothing, and not for a command's first one: a daemon that is not there is to be told at once.
 */
export async function patiently<T>(
  clock: Clock,
  ask: () => Promise<T>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + patienceMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isLost(error) || clock.monotonicMs() >= deadlineMs) throw error;
      await clock.sleep(pauseMs, options);
    }
  }
}

/**
 * A command's first request: only an election is waited for, which a busy swarm may need seconds
 * for. What keeps the daemon from answering otherwise is told at once.
 */
export async function whenLed<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  const deadlineMs = clock.monotonicMs() + electionMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isLeaderless = isLost(error) && messageOf(error).includes('does not have a leader');
      if (!isLeaderless || clock.monotonicMs() >= deadlineMs) throw error;
      await clock.sleep(pauseMs);
    }
  }
}

/**
 * Nobody has answered: whether the request was carried out cannot be told from this. A node that
 * is no manager has answered, and will say the same for ever.
 */
export function isLost(error: unknown): boolean {
  return (
    error instanceof SwarmError &&
    error.code === 'unavailable' &&
    !error.message.includes('This node is not a swarm manager')
  );
}

/** The object was changed by others since it was read. */
export function isConflict(error: unknown): boolean {
  return error instanceof SwarmError && error.message.includes('update out of sequence');
}
