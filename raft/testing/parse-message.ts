/** Messages in the words that transcripts print them in. */
import {
  encodeConfChange,
  nobody,
  type ConfChangeStep,
  type ConfState,
  type Entry,
  type Message,
  type NodeId,
} from '../core/index.ts';

const ops = { '+': 'add-voter', '~': 'add-learner', '-': 'remove' } as const;

/** "+4", "~4", "-4". */
export function parseStep(word: string): ConfChangeStep {
  const op = ops[word[0] as keyof typeof ops];
  if (op === undefined) throw new SyntaxError(`${word} is no change of members: +4, ~4 or -4`);
  return { op, node: word.slice(1) };
}

/** "1 2 3 ~4". */
export function parseConf(words: readonly string[]): ConfState {
  return {
    voters: words.filter((word) => !word.startsWith('~')),
    learners: words.filter((word) => word.startsWith('~')).map((word) => word.slice(1)),
    outgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
}

export function parsePlace(words: string): { index: number; term: number } {
  const [index, term] = words.split('@').map(Number);
  if (index === undefined || term === undefined || Number.isNaN(index + term)) {
    throw new SyntaxError(`${words} is no place in a log, such as 4@2`);
  }
  return { index, term };
}

export function parseLink(words: string): { from: NodeId; to: NodeId } {
  const [from, to] = words.split('->');
  if (from === undefined || to === undefined) throw new SyntaxError(`${words} is no link: 1->2`);
  return { from, to };
}

/** "4@2 x", "4@2 empty", "4@2 +5 -1", "4@2 500B". */
function parseEntry(words: string): Entry {
  const [place = '', ...rest] = words.trim().split(' ');
  const { index, term } = parsePlace(place);
  const [first = 'empty'] = rest;
  if (first === 'leave') return { index, term, kind: 'config', data: new Uint8Array() };
  if (/^[+~-]/.test(first)) {
    const data = encodeConfChange({ steps: rest.map(parseStep), transition: 'auto' });
    return { index, term, kind: 'config', data };
  }
  return { index, term, kind: 'normal', data: parseData(first) };
}

/** "x" is itself, "500B" so many bytes, "empty" none. */
export function parseData(word: string): Uint8Array {
  if (word === 'empty') return new Uint8Array();
  const bytes = /^(\d+)B$/.exec(word)?.[1];
  return new TextEncoder().encode(bytes === undefined ? word : 'x'.repeat(Number(bytes)));
}

/** Throws SyntaxError for what `messageWords` would not say. */
export function parseMessage(words: string): Message {
  const head = /^(\S+) ([a-z-]+)(?: (\d+))?(?:: (.*))?$/.exec(words);
  if (head === null) throw new SyntaxError(`this is no message: ${words}`);
  const [, link = '', type = '', term = '0', detail = ''] = head;
  const base = { ...parseLink(link), term: Number(term) };
  const parse = details[type as Message['type']];
  if (parse === undefined) throw new SyntaxError(`there are no messages of type ${type}`);
  return { ...base, type, ...parse(detail) } as Message;
}

type Details = Readonly<Record<Message['type'], (detail: string) => object>>;

function lastOf(detail: string) {
  const [, place = '', ...rest] = detail.split(' ');
  const { index: lastIndex, term: lastTerm } = parsePlace(place);
  return { lastIndex, lastTerm, transfer: rest[0] === 'transfer' };
}

const details: Details = {
  vote: lastOf,
  'pre-vote': lastOf,
  'vote-reply': (detail) => ({ granted: detail === 'granted' }),
  'pre-vote-reply': (detail) => ({ granted: detail === 'granted' }),
  append: (detail) => {
    const [, place = '', list, commit] =
      match(/^after (\S+)(?: \[(.*)\])? commit (\d+)$/, detail) ?? [];
    const { index: prevIndex, term: prevTerm } = parsePlace(place);
    const entries = list === undefined ? [] : list.split(',').map(parseEntry);
    return { prevIndex, prevTerm, entries, commit: Number(commit) };
  },
  'append-reply': (detail) => {
    const [, has] = /^has (\d+)$/.exec(detail) ?? [];
    if (has !== undefined) {
      return { index: Number(has), rejected: false, hintIndex: 0, hintTerm: 0 };
    }
    const [, index, hint = ''] = match(/^rejects (\d+), hint (\S+)$/, detail);
    const { index: hintIndex, term: hintTerm } = parsePlace(hint);
    return { index: Number(index), rejected: true, hintIndex, hintTerm };
  },
  heartbeat: (detail) => {
    const [, commit, round] = match(/^commit (\d+) round (\d+)$/, detail);
    return { commit: Number(commit), readId: Number(round) };
  },
  'heartbeat-reply': (detail) => ({ readId: Number(match(/^round (\d+)$/, detail)[1]) }),
  snapshot: (detail) => {
    const [, place = '', conf = ''] = match(/^(\S+) of (.*)$/, detail);
    return { snapshot: { ...parsePlace(place), conf: parseConf(conf.split(' ')) } };
  },
  'timeout-now': () => ({}),
  forward: (detail) => ({ data: parseData(detail) }),
  'read-index': (detail) => ({ requestId: Number(match(/^request (\d+)$/, detail)[1]) }),
  'read-index-reply': (detail) => {
    const [, requestId, index] = match(/^request (\d+) at (\d+)$/, detail);
    return { requestId: Number(requestId), index: Number(index) };
  },
};

function match(pattern: RegExp, detail: string): RegExpExecArray {
  const found = pattern.exec(detail);
  if (found === null) throw new SyntaxError(`"${detail}" is not what such a message says`);
  return found;
}

export function nodeIdOf(word: string | undefined): NodeId {
  if (word === undefined || word === nobody) throw new SyntaxError('which node is missing');
  return word;
}
