import { strict as assert } from 'node:assert';
import { fieldChanges } from './fields.ts';

describe('fieldChanges', () => {
  const cases: { name: string; from: unknown; to: unknown; expect: unknown[] }[] = [
    { name: 'nothing', from: { a: 1, b: [1] }, to: { b: [1], a: 1 }, expect: [] },
    { name: 'what is empty and what is absent', from: { a: [], b: '' }, to: {}, expect: [] },
    {
      name: 'a value deep inside',
      from: { a: { b: 1, c: 2 } },
      to: { a: { b: 1, c: 3 } },
      expect: [{ path: 'a.c', from: '2', to: '3' }],
    },
    {
      name: 'items that come and go',
      from: { env: ['A=1', 'B=2'] },
      to: { env: ['B=2', 'C=3'] },
      expect: [
        { path: 'env[]', from: '"A=1"' },
        { path: 'env[]', to: '"C=3"' },
      ],
    },
    {
      name: 'an order',
      from: { args: ['a', 'b'] },
      to: { args: ['b', 'a'] },
      expect: [{ path: 'args', from: '["a","b"]', to: '["b","a"]' }],
    },
    {
      name: 'one of two that are alike',
      from: { args: ['a', 'a'] },
      to: { args: ['a'] },
      expect: [{ path: 'args[]', from: '"a"' }],
    },
    {
      name: 'a whole object that is new, or gone',
      from: { old: { x: 1 } },
      to: { next: { y: { z: true } } },
      expect: [
        { path: 'old.x', from: '1' },
        { path: 'next.y.z', to: 'true' },
      ],
    },
    {
      name: 'a number that becomes nothing',
      from: { n: 0 },
      to: {},
      expect: [{ path: 'n', from: '0' }],
    },
  ];
  for (const { name, from, to, expect } of cases) {
    it(`tells ${name}`, () => assert.deepEqual(fieldChanges(from, to), expect));
  }
});
