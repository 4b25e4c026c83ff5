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
  if (state.isSingleVoter || state.config.reads === 'lease') {
    answerRead(state, from, requestId, index);
    return true;
  }
  state.readId += 1;
  state.pendingReads.push({ readId: state.readId, index, from, requestId });
  return true;
}

function hasCommittedOwnTerm(state: State): boolean {
  return state.log.term(state.log.committed) === state.term;
}

/** True when reads were started that ask the others: a round of heartbeats is due. */
export function releasePostponedReads(state: State): boolean {
  if (state.postponedReads.length === 0 || !hasCommittedOwnTerm(state)) return false;
  const postponed = state.postponedReads;
  state.postponedReads = [];
  for (const { from, requestId } of postponed) requestRead(state, from, requestId);
  return state.pendingReads.length > 0;
}

/** The follower still took this node for the leader when it saw read number `readId`. */
export function acknowledgeReads(state: State, from: NodeId, readId: number): void {
  if (state.pendingReads.length === 0) return;
  state.readAcks.set(from, Math.max(readId, state.readAcks.get(from) ?? 0));
  const acknowledged = committedIndex(state.voters, (node) =>
    node === state.id ? Infinity : (state.readAcks.get(node) ?? 0),
  );
  while ((state.pendingReads[0]?.readId ?? Infinity) <= acknowledged) {
    const read = state.pendingReads.shift();
    if (read !== undefined) answerRead(state, read.from, read.requestId, read.index);
  }
}

function answerRead(state: State, from: NodeId, requestId: number, index: number): void {
  if (from === state.id) {
    state.readyReads.push({ requestId, index });
    return;
  }
  state.send({
    type: 'read-index-reply',
    from: state.id,
    to: from,
    term: state.term,
    requestId,
    index,
  });
}
