import { strict as assert } from 'node:assert';
import { TickWatch } from './tick-watch.ts';

describe('ticks of a process that stands still', () => {
  const cases: { name: string; given: number[]; expect: string[] }[] = [
    {
      name: 'regular ticks count',
      given: [50, 100, 151, 200],
      expect: ['due', 'due', 'due', 'due'],
    },
    { name: 'a little late counts', given: [90, 160], expect: ['due', 'due'] },
    {
      name: 'after a standstill, one does not',
      given: [50, 900, 950],
      expect: ['due', 'late', 'due'],
    },
    {
      name: 'always late counts every other',
      given: [100, 200, 300],
      expect: ['late', 'due', 'late'],
    },
    {
      name: 'of several at once, one counts',
      given: [50, 51, 52, 101],
      expect: ['due', 'early', 'early', 'due'],
    },
  ];
  for (const { name, given, expect } of cases) {
    it(name, () => {
      let nowMs = 0;
      const watch = new TickWatch(50, { monotonicMs: () => nowMs });
      const seen = given.map((atMs) => {
        nowMs = atMs;
        return watch.next();
      });
      assert.deepEqual(seen, expect);
    });
  }

  it('knows of a standstill before the next tick', () => {
    let nowMs = 0;
    const watch = new TickWatch(50, { monotonicMs: () => nowMs });
    nowMs = 99;
    assert.ok(!watch.stoodStill);
    nowMs = 100;
    assert.ok(watch.stoodStill);
    watch.next();
    assert.ok(!watch.stoodStill);
  });

  it('counts all ticks where there is no clock to look at', () => {
    const watch = new TickWatch(50, {});
    assert.deepEqual([watch.next(), watch.next(), watch.stoodStill], ['due', 'due', false]);
  });
});
