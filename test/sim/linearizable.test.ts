import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { checkRegister, type Operation, type Verdict } from './linearizable.ts';

const write = (value: string, called: number, returned = Infinity): Operation => ({
  kind: 'write',
  value,
  called,
  returned,
});
const read = (value: string, called: number, returned = Infinity): Operation => ({
  kind: 'read',
  value,
  called,
  returned,
});

const cases: { name: string; given: Operation[]; expect: Verdict }[] = [
  { name: 'nothing', given: [], expect: 'linearizable' },
  { name: 'a read of the empty register', given: [read('', 1, 2)], expect: 'linearizable' },
  {
    name: 'a read after a write',
    given: [write('a', 1, 2), read('a', 3, 4)],
    expect: 'linearizable',
  },
  {
    name: 'a read that misses a write that had returned',
    given: [write('a', 1, 2), read('', 3, 4)],
    expect: 'violation',
  },
  {
    name: 'a read beside a write may see it or not',
    given: [write('a', 1, 10), read('', 2, 3), read('a', 4, 5)],
    expect: 'linearizable',
  },
  {
    name: 'reads one after the other never go back',
    given: [write('a', 1, 10), read('a', 2, 3), read('', 4, 5)],
    expect: 'violation',
  },
  {
    name: 'a read of what nobody wrote',
    given: [write('a', 1, 2), read('b', 3, 4)],
    expect: 'violation',
  },
  {
    name: 'a write without an answer may come late',
    given: [write('a', 1), write('b', 2, 3), read('b', 4, 5), read('a', 6, 7)],
    expect: 'linearizable',
  },
  {
    name: 'a write without an answer comes once',
    given: [write('a', 1), read('a', 2, 3), write('b', 4, 5), read('a', 6, 7)],
    expect: 'violation',
  },
];

describe('the linearizability checker', () => {
  for (const { name, given, expect } of cases) {
    it(`${expect}: ${name}`, () => assert.equal(checkRegister(given), expect));
  }

  /** Operations that a real register did one at a time, each within its call and return. */
  const histories = fc
    .array(
      fc.record({
        isWrite: fc.boolean(),
        before: fc.integer({ min: 0, max: 30 }),
        after: fc.integer({ min: 0, max: 30 }),
      }),
      { maxLength: 14 },
    )
    .map((steps) => {
      let value = '';
      return steps.map(({ isWrite, before, after }, index): Operation => {
        if (isWrite) value = `v${index}`;
        const at = index * 10;
        const times = { called: at - before, returned: at + 1 + after };
        return { kind: isWrite ? 'write' : 'read', value, ...times };
      });
    });

  it('accepts whatever a real register did', () => {
    fc.assert(
      fc.property(histories, (history) => {
        assert.equal(checkRegister(history), 'linearizable');
      }),
    );
  });

  it('agrees with trying every order', () => {
    const small = fc.tuple(histories, fc.nat(), fc.nat()).map(([history, at, from]) => {
      const few = history.slice(0, 6);
      const target = few[at % Math.max(1, few.length)];
      const other = few[from % Math.max(1, few.length)];
      if (target?.kind !== 'read' || other === undefined) return few;
      return few.map((one) => (one === target ? { ...one, value: other.value } : one));
    });
    fc.assert(
      fc.property(small, (history) => {
        const expected = someOrderFits(history, '') ? 'linearizable' : 'violation';
        assert.equal(checkRegister(history), expected);
      }),
      { numRuns: 300 },
    );
  });
});

function someOrderFits(left: readonly Operation[], value: string): boolean {
  if (left.length === 0) return true;
  const soonest = Math.min(...left.map(({ returned }) => returned));
  return left.some(
    (operation) =>
      operation.called <= soonest &&
      (operation.kind === 'write' || operation.value === value) &&
      someOrderFits(
        left.filter((other) => other !== operation),
        operation.value,
      ),
  );
}
