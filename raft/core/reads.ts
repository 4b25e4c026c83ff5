/** Reads that see every write acknowledged before them, without a log entry (thesis, 6.4). */
import { committedIndex } from './quorum.ts';
import type { State } from './state.ts';
import type { NodeId } from './types.ts';

/** Bounds what a leader keeps for others before it may answer. */
const maxPendingReads = 10_000;

/** Asks the leader's commit index, for this node or for a follower. False when too many wait. */
export function requestRead(state: State, from: NodeId, requestId: number): boolean {
  if (state.pendingReads.length + state.postponedReads.length >= maxPendingReads) return false;
  if (!hasCommittedOwnTerm(state)) {
    // Until then this leader does not know all that earlier leaders committed.
    state.postponedReads.push({ from, requestId });
    return true;
  }
  const index = state.log.committed;
  if (state.isSingleVoter || hasLease(state)) {
    answerRead(state, from, requestId, index);
    return true;
  }
  // Reads that come together share the next round.
  state.pendingReads.push({ round: state.round + 1, index, from, requestId });
  state.due.heartbeat = true;
  return true;
}

function hasCommittedOwnTerm(state: State): boolean {
  return state.log.term(state.log.committed) === state.term;
}

/** To be called when something was committed. */
export function releasePostponedReads(state: State): void {
  if (state.postponedReads.length === 0 || !hasCommittedOwnTerm(state)) return;
  const postponed = state.postponedReads;
  state.postponedReads = [];
  for (const { from, requestId } of postponed) requestRead(state, from, requestId);
}

/** A round of heartbeats begins. */
export function startRound(state: State): number {
  state.round += 1;
  const { leaderTicks: tick, roundStarts, round } = state;
  if (roundStarts.at(-1)?.tick !== tick) roundStarts.push({ round, tick });
  if (roundStarts.length > state.config.electionTicks) roundStarts.shift();
  return round;
}

/** The member still took this node for the leader when it saw the round. */
export function acknowledgeRound(state: State, from: NodeId, round: number): void {
  state.roundAcks.set(from, Math.max(round, state.roundAcks.get(from) ?? 0));
  releaseReads(state);
}

/** Answers the reads whose round a quorum has seen. */
export function releaseReads(state: State): void {
  if (state.pendingReads.length === 0) return;
  const acknowledged = acknowledgedRound(state);
  const waiting = state.pendingReads.findIndex(({ round }) => round > acknowledged);
  const count = waiting < 0 ? state.pendingReads.length : waiting;
  for (const read of state.pendingReads.splice(0, count)) {
    answerRead(state, read.from, read.requestId, read.index);
  }
}

function acknowledgedRound(state: State): number {
  return committedIndex(state.voters, (node) =>
    node === state.id ? Infinity : (state.roundAcks.get(node) ?? 0),
  );
}

/**
 * A quorum has promised to elect nobody else for now: each member that heard of a round gives this
 * leader an election's time from then. One tick less, as the others' may fall just before its own.
 */
function hasLease(state: State): boolean {
  if (state.config.reads !== 'lease' || state.isLeaseGone) return false;
  const round = acknowledgedRound(state);
  const since = state.roundStarts.findLast((start) => start.round <= round);
  return since !== undefined && state.leaderTicks - since.tick < state.config.electionTicks - 1;
}

function answerRead(state: State, from: NodeId, requestId: number, index: number): void {
  if (from === state.id) {
    state.readyReads.push({ requestId, index });
    return;
  }
  const { id, term } = state;
  state.send({ type: 'read-index-reply', from: id, to: from, term, requestId, index });
}
