/** How a leader is chosen (paper, section 5.2 and 5.4.1; thesis, sections 4.2.3 and 9.6). */
import { voteResult } from './quorum.ts';
import { notePendingLeave } from './reconfigure.ts';
import { announceLeadership } from './replication.ts';
import type { State } from './state.ts';
import { nobody, type MessageOf, type NodeId } from './types.ts';

/** `transfer`: the leader asked for it, so nobody's lease stands in the way. */
export function campaign(state: State, kind: 'pre-vote' | 'vote' | 'transfer'): void {
  if (!state.isVoter) {
    // It has lost the leader all the same, and must not keep others from choosing another.
    state.leader = nobody;
    return;
  }
  if (hasUnappliedConfChange(state)) return;
  if (kind === 'pre-vote') state.becomePreCandidate();
  else state.becomeCandidate();
  const isPreVote = kind === 'pre-vote';
  const term = isPreVote ? state.term + 1 : state.term;
  const voters = new Set([...state.conf.voters, ...state.conf.outgoing]);
  for (const to of [...voters].toSorted()) {
    if (to !== state.id) {
      const { lastIndex, lastTerm } = state.log;
      const place = { lastIndex, lastTerm, transfer: kind === 'transfer' };
      // The term and the log that it asks with must not be forgotten: a node that lost them would
      // ask again in the same term, and votes given to the longer log would count for the shorter.
      if (isPreVote) state.send({ type: 'pre-vote', from: state.id, to, term, ...place });
      else state.sendAfterPersist({ type: 'vote', from: state.id, to, term, ...place });
    } else if (isPreVote) {
      receiveVote(state, state.id, true);
    } else {
      // The own vote counts once it is durable, like anybody's.
      state.sendAfterPersist({
        type: 'vote-reply',
        from: state.id,
        to: state.id,
        term,
        granted: true,
      });
    }
  }
}

/** A membership that is committed but not yet in force could make this node win a wrong quorum. */
function hasUnappliedConfChange(state: State): boolean {
  const { log } = state;
  if (log.applied >= log.committed) return false;
  return log
    .slice(log.applied + 1, Infinity)
    .some(({ index, kind }) => index <= log.committed && kind === 'config');
}

/**
 * The leader cannot be reached, as when its process has died: this follower may vote for another
 * one before it has been silent for long. Not where reads trust the leader's lease.
 */
export function forgetLeader(state: State, node: NodeId): void {
  const isLeader = state.role === 'follower' && state.leader === node;
  if (isLeader && state.config.reads !== 'lease') state.leader = nobody;
}

export function handleVoteRequest(state: State, message: MessageOf<'vote' | 'pre-vote'>): void {
  const isPreVote = message.type === 'pre-vote';
  const isFree =
    state.vote === message.from ||
    (state.vote === nobody && state.leader === nobody) ||
    (isPreVote && message.term > state.term);
  const granted = isFree && state.log.isUpToDate(message.lastIndex, message.lastTerm);
  if (isPreVote) {
    state.send({
      type: 'pre-vote-reply',
      from: state.id,
      to: message.from,
      term: granted ? message.term : state.term,
      granted,
    });
    return;
  }
  if (granted) {
    state.vote = message.from;
    state.electionElapsed = 0;
  }
  state.sendAfterPersist({
    type: 'vote-reply',
    from: state.id,
    to: message.from,
    term: state.term,
    granted,
  });
}

export function handleVoteReply(
  state: State,
  message: MessageOf<'vote-reply' | 'pre-vote-reply'>,
): void {
  const expected = message.type === 'vote-reply' ? 'candidate' : 'pre-candidate';
  if (state.role === expected) receiveVote(state, message.from, message.granted);
}

function receiveVote(state: State, from: NodeId, granted: boolean): void {
  if (!state.votes.has(from)) state.votes.set(from, granted);
  const result = voteResult(state.voters, (node) => state.votes.get(node));
  if (result === 'pending') return;
  if (result === 'lost') {
    state.becomeFollower(state.term, nobody);
  } else if (state.role === 'pre-candidate') {
    campaign(state, 'vote');
  } else {
    state.becomeLeader();
    notePendingLeave(state);
    announceLeadership(state);
  }
}
