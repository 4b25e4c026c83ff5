/** What audits have put right, for the metric and the log. */
import type { Logger } from '../../lib/log.ts';
import type { Repair } from './part.ts';

/** Of each kind of what an audit has put right. */
const loggedMax = 5;

export function noteRepairs(
  repairs: readonly Repair[],
  into: {
    /** How many there were so far, by kind. */
    readonly counts: Map<string, number>;
    readonly onRepaired: ((kind: string, times: number) => void) | undefined;
    readonly log: Logger;
  },
): void {
  for (const [kind, found] of Map.groupBy(repairs, (repair) => repair.kind)) {
    into.counts.set(kind, (into.counts.get(kind) ?? 0) + found.length);
    into.onRepaired?.(kind, found.length);
    // All entries of a device go with it: a few tell enough.
    const what = found.slice(0, loggedMax).map((repair) => repair.what);
    into.log.warn('put right what was not as it should be', { kind, times: found.length, what });
  }
}
