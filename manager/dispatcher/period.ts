/** How often nodes are to be heard of, and what silence means. Pure. */

/** The managers together never handle more heartbeats a second than this, however many nodes. */
const heartbeatsPerSecond = 500;
const periodMinMs = 500;
const periodMaxMs = 5_000;
/** No swarm is asked to be quicker than this, whatever its spec says. */
const periodFloorMs = 50;
/** Nor slower: a host that is lost would not be missed. */
export const periodCeilingMs = 24 * 3_600_000;

/**
 * Docker's default. Its clients write it into the spec at `swarm init` and `swarm update`, whether
 * asked to or not, so it is nobody's wish, and losing a host may not take 20 s because of it.
 */
const dockerDefaultMs = 5_000;

/** The period that nodes are told; the swarm's spec overrides what its size suggests. */
export function heartbeatPeriodMs(nodeCount: number, specPeriodMs = dockerDefaultMs): number {
  if (specPeriodMs !== dockerDefaultMs && specPeriodMs > 0) {
    // Nodes are told a whole number, and Docker's clients may give any of nanoseconds.
    return Math.min(periodCeilingMs, Math.max(periodFloorMs, Math.ceil(specPeriodMs)));
  }
  const bySizeMs = Math.ceil((nodeCount * 1000) / heartbeatsPerSecond);
  return Math.min(periodMaxMs, Math.max(periodMinMs, bySizeMs));
}

/** A manager's own node ends with the manager: nobody waits for its heartbeats. */
const ownPeriodMs = 2_000;

/** The period that the node of the manager that leads is told, where others are told this one. */
export function ownHeartbeatPeriodMs(periodMs: number): number {
  return Math.max(periodMs, ownPeriodMs);
}

/** A node that is silent for this long is suspect: three heartbeats were missed. */
export function suspectAfterMs(periodMs: number): number {
  return 3 * periodMs;
}

/**
 * A node that is silent for this long is down, and its tasks are replaced. With the period of small
 * swarms these are three seconds: a link that fails for 1.5 s comes back within them, also through
 * TCP's retransmission or a new connection, and replacements run within five seconds of a loss.
 */
export function downAfterMs(periodMs: number): number {
  return Math.max(Math.min(6 * periodMs, 3_000), 4 * periodMs);
}

/**
 * A node that has said that its daemon is away for a moment is missed only after this: as long as a
 * busy host takes to start the next one, or an upgrade to put it there. Its tasks run on meanwhile.
 */
export function awayGraceMs(periodMs: number): number {
  return Math.max(15_000, downAfterMs(periodMs));
}

/**
 * A node not heard of since this manager leads has this long: while there was no leader its
 * attempts have become as rare as one in eight seconds.
 */
export function unknownGraceMs(periodMs: number): number {
  return Math.max(12_000, 2 * downAfterMs(periodMs));
}
