import { strict as assert } from 'node:assert';
import type { Entry, Message } from '../../raft/index.ts';
import { merged } from './merge.ts';

const ids = { from: 'a', to: 'b' } as const;
const entry = (index: number, term = 2): Entry => {
  return { index, term, kind: 'normal', data: new Uint8Array([index]) };
};
const append = (
  prevIndex: number,
  count: number,
  { term = 2, prevTerm = 2, commit = 0 } = {},
): Message => {
  const entries = Array.from({ length: count }, (_, at) => entry(prevIndex + 1 + at, term));
  return { type: 'append', ...ids, term, prevIndex, prevTerm, entries, commit };
};
const reply = (index: number, { term = 2, rejected = false } = {}): Message => {
  return { type: 'append-reply', ...ids, term, index, rejected, hintIndex: 0, hintTerm: 0 };
};
const beat: Message = { type: 'heartbeat', ...ids, term: 2, commit: 3, readId: 1 };

const cases: { name: string; given: Message[]; expect: Message[] }[] = [
  { name: 'nothing', given: [], expect: [] },
  { name: 'one', given: [append(4, 1)], expect: [append(4, 1)] },
  {
    name: 'appends that continue each other, with the last commit index',
    given: [append(4, 1, { commit: 3 }), append(5, 2, { commit: 4 }), append(7, 1, { commit: 6 })],
    expect: [append(4, 4, { commit: 6 })],
  },
  {
    name: 'news of the commit index alone, before and after entries',
    given: [append(4, 0, { commit: 3 }), append(4, 2, { commit: 3 }), append(6, 0, { commit: 5 })],
    expect: [append(4, 2, { commit: 5 })],
  },
  {
    name: 'appends with a gap stay apart',
    given: [append(4, 1), append(6, 1)],
    expect: [append(4, 1), append(6, 1)],
  },
  {
    name: 'appends that go back stay apart',
    given: [append(4, 2), append(4, 2)],
    expect: [append(4, 2), append(4, 2)],
  },
  {
    name: 'appends of different terms stay apart',
    given: [append(4, 1), append(5, 1, { term: 3 })],
    expect: [append(4, 1), append(5, 1, { term: 3 })],
  },
  {
    name: 'appends whose logs differ at the seam stay apart',
    given: [append(4, 1), append(5, 1, { prevTerm: 1 })],
    expect: [append(4, 1), append(5, 1, { prevTerm: 1 })],
  },
  {
    name: 'what stands between appends keeps its place',
    given: [append(4, 1), beat, append(5, 1)],
    expect: [append(4, 1), beat, append(5, 1)],
  },
  {
    name: 'of acceptances the last',
    given: [reply(4), reply(5), reply(5), reply(9)],
    expect: [reply(9)],
  },
  {
    name: 'a rejection is not passed over, and neither is an earlier index after a later one',
    given: [reply(4), reply(6, { rejected: true }), reply(5), reply(4)],
    expect: [reply(4), reply(6, { rejected: true }), reply(5), reply(4)],
  },
  {
    name: 'acceptances of different terms stay apart',
    given: [reply(4), reply(5, { term: 3 })],
    expect: [reply(4), reply(5, { term: 3 })],
  },
];

describe('messages to one peer are put together:', () => {
  for (const { name, given, expect } of cases) {
    it(name, () => {
      const before = structuredClone(given);
      assert.deepEqual(merged(given), expect);
      assert.deepEqual(given, before, 'what was given is not changed');
    });
  }
});
