/** How transcripts put what nodes say and have. */
import {
  decodeConfChange,
  isJoint,
  type ConfChange,
  type ConfState,
  type Entry,
  type Message,
} from '../core/index.ts';

const signs = { 'add-voter': '+', 'add-learner': '~', remove: '-' } as const;
/** Longer proposals are told by their length. */
const maxText = 12;

/** "1 2 3", "1 2 3 ~4", "(1 2 4)(1 2 3)", with what is still to become a learner behind. */
export function confWords(conf: ConfState): string {
  const sets = isJoint(conf)
    ? `(${conf.voters.join(' ')})(${conf.outgoing.join(' ')})`
    : conf.voters.join(' ');
  const learners = conf.learners.map((node) => ` ~${node}`).join('');
  const next = conf.learnersNext.map((node) => ` next ~${node}`).join('');
  const leave = isJoint(conf) && conf.autoLeave ? ' auto' : '';
  return `${sets}${learners}${next}${leave}`;
}

function changeWords({ steps, transition }: ConfChange): string {
  if (steps.length === 0) return 'leave';
  const list = steps.map(({ op, node }) => `${signs[op]}${node}`).join(' ');
  return transition === 'auto' ? list : `${list} ${transition}`;
}

export function dataWords({ kind, data }: Entry): string {
  if (kind === 'config') return changeWords(decodeConfChange(data));
  if (data.length === 0) return 'empty';
  return data.length > maxText ? `${data.length}B` : new TextDecoder().decode(data);
}

/** "4@2 x": the entry of index 4 and term 2. */
export function entryWords(entry: Entry): string {
  return `${entry.index}@${entry.term} ${dataWords(entry)}`;
}

/** "1->2 append 2: after 3@1 [4@2 x] commit 3", the number behind the type being the term. */
export function messageWords(message: Message): string {
  const { from, to, type, term } = message;
  const head = `${from}->${to} ${type}${term > 0 ? ` ${term}` : ''}`;
  const rest = detailWords(message);
  return rest === '' ? head : `${head}: ${rest}`;
}

function detailWords(message: Message): string {
  switch (message.type) {
    case 'vote':
    case 'pre-vote':
      return `last ${message.lastIndex}@${message.lastTerm}${message.transfer ? ' transfer' : ''}`;
    case 'vote-reply':
    case 'pre-vote-reply':
      return message.granted ? 'granted' : 'refused';
    case 'append': {
      const { prevIndex, prevTerm, entries, commit } = message;
      const list = entries.length === 0 ? '' : ` [${entries.map(entryWords).join(', ')}]`;
      return `after ${prevIndex}@${prevTerm}${list} commit ${commit}`;
    }
    case 'append-reply': {
      const { index, rejected, hintIndex, hintTerm } = message;
      return rejected ? `rejects ${index}, hint ${hintIndex}@${hintTerm}` : `has ${index}`;
    }
    case 'heartbeat':
      return `commit ${message.commit} round ${message.readId}`;
    case 'heartbeat-reply':
      return `round ${message.readId}`;
    case 'snapshot': {
      const { index, term, conf } = message.snapshot;
      return `${index}@${term} of ${confWords(conf)}`;
    }
    case 'forward':
      return new TextDecoder().decode(message.data);
    case 'read-index':
      return `request ${message.requestId}`;
    case 'read-index-reply':
      return `request ${message.requestId} at ${message.index}`;
    default:
      return '';
  }
}
