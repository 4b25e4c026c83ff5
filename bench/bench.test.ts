import { strict as assert } from 'node:assert';
import { median, ratiosOf, round } from './bench.ts';

describe('bench ratios', () => {
  const cases = [
    { name: 'a shorter time', ours: { scale_s: 1 }, peer: { scale_s: 4 }, expect: { scale_s: 4 } },
    { name: 'less memory', ours: { all_mb: 200 }, peer: { all_mb: 100 }, expect: { all_mb: 0.5 } },
    { name: 'a rate', ours: { ops_per_s: 30 }, peer: { ops_per_s: 10 }, expect: { ops_per_s: 3 } },
    {
      name: 'a rate with its case behind it',
      ours: { ops_per_s_1k: 30 },
      peer: { ops_per_s_1k: 10 },
      expect: { ops_per_s_1k: 3 },
    },
    {
      name: 'a count, which has no better',
      ours: { n_tasks: 1 },
      peer: { n_tasks: 2 },
      expect: {},
    },
    { name: 'what only one side has', ours: { a_s: 1 }, peer: { b_s: 1 }, expect: {} },
    { name: 'zero, which divides nothing', ours: { a_s: 0 }, peer: { a_s: 1 }, expect: {} },
  ];
  for (const { name, ours, peer, expect } of cases) {
    it(`compares ${name}`, () => {
      assert.deepEqual(
        ratiosOf(ours as Record<string, number>, peer as Record<string, number>),
        expect,
      );
    });
  }

  it('takes the middle of several rounds', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(round(1234.5), 1230);
  });
});
