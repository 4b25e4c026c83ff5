import { strict as assert } from 'node:assert';
import { sameDocument } from './equal.ts';

const cases: readonly { name: string; a: unknown; b: unknown; same: boolean }[] = [
  { name: 'keys in another order', a: { x: 1, y: 2 }, b: { y: 2, x: 1 }, same: true },
  { name: 'a list in another order', a: { x: [1, 2] }, b: { x: [2, 1] }, same: false },
  { name: 'a key that is undefined', a: { x: undefined }, b: {}, same: true },
  { name: 'an empty list and none', a: { mounts: [] }, b: {}, same: true },
  { name: 'none and an empty list', a: {}, b: { mounts: [] }, same: true },
  { name: 'an empty list inside', a: { dns: { search: [] } }, b: {}, same: true },
  { name: 'an entry and none', a: { env: ['A=1'] }, b: {}, same: false },
  { name: 'an empty entry and none', a: { args: [''] }, b: {}, same: false },
  { name: 'a list of an empty document and none', a: { x: [{}] }, b: {}, same: false },
  { name: 'a switch that is off and none', a: { init: false }, b: {}, same: false },
  { name: 'null and none', a: { x: null }, b: {}, same: false },
  { name: 'an empty list and an empty text', a: { x: [] }, b: { x: '' }, same: false },
];

describe('documents are compared by what they say', () => {
  for (const { name, a, b, same } of cases) {
    it(name, () => assert.equal(sameDocument(a, b), same));
  }
});
