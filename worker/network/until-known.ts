/** Waits for what the managers say of networks. */
import { withAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';

/** Objects of a network come with the first task on it; a set may be on its way. */
const networkWaitMs = 10_000;

interface News {
  /** The first of the wanted networks of which nothing is known. */
  readonly unknown: () => string | undefined;
  /** Resolves with the next set. */
  readonly next: () => Promise<void>;
  readonly isRunning: () => boolean;
  readonly clock: Clock;
}

/** Throws SwarmError `unavailable` where the managers say nothing of a network for too long. */
export async function untilKnown(news: News, signal?: AbortSignal): Promise<void> {
  if (news.unknown() === undefined) return;
  const late = new AbortController();
  const timer = news.clock.after(networkWaitMs, () => late.abort());
  try {
    while (news.unknown() !== undefined) {
      if (late.signal.aborted || !news.isRunning()) {
        throw new SwarmError(
          'unavailable',
          `the managers have said nothing of the network ${news.unknown()}: it may have been ` +
            'removed',
        );
      }
      const { promise: over, resolve } = Promise.withResolvers<void>();
      late.signal.addEventListener('abort', () => resolve(), { once: true });
      await withAbort(Promise.race([news.next(), over]), signal);
    }
  } finally {
    timer.cancel();
  }
}
