/** What the term of a message says (paper, section 5.1). */
import type { State } from './state.ts';
import { nobody, type Message } from './types.ts';

/** Messages whose term says nothing about their sender's. */
const withoutTerm: ReadonlySet<Message['type']> = new Set([
  'forward',
  'read-index',
  'read-index-reply',
]);
const fromLeader: ReadonlySet<Message['type']> = new Set(['append', 'heartbeat', 'snapshot']);

/** Takes over a newer term. False when the message is to be passed over. */
export function acceptTerm(state: State, message: Message): boolean {
  if (withoutTerm.has(message.type) || message.term === state.term) return true;
  if (message.term < state.term) {
    answerOldTerm(state, message);
    return false;
  }
  const isVote = message.type === 'vote' || message.type === 'pre-vote';
  if (isVote && !message.transfer && state.isWithinLease) return false;
  if (message.type === 'pre-vote') return true;
  if (message.type === 'pre-vote-reply' && message.granted) return true;
  state.becomeFollower(message.term, fromLeader.has(message.type) ? message.from : nobody);
  return true;
}

/** Tells a leader or candidate of an old term about this one, lest it never learn. */
function answerOldTerm(state: State, message: Message): void {
  const { id: from, term } = state;
  const { from: to } = message;
  if (message.type === 'pre-vote') {
    state.send({ type: 'pre-vote-reply', from, to, term, granted: false });
  } else if (message.type === 'vote') {
    state.send({ type: 'vote-reply', from, to, term, granted: false });
  } else if (message.type === 'append' || message.type === 'heartbeat') {
    const nothing = { index: 0, rejected: true, hintIndex: 0, hintTerm: 0 };
    state.send({ type: 'append-reply', from, to, term, ...nothing });
  }
}
