import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import type { Task } from '../../types/index.ts';
import { makeService, makeTask } from '../store/testing.ts';
import type { Slot } from './draft.ts';
import { removalOrder } from './slots.ts';

const service = makeService('web');

function slot(number: number, nodeId: string, state: Task['status']['state'] = 'running'): Slot {
  const status = { state, atMs: 0, message: '' };
  const desiredState = state === 'complete' ? 'shutdown' : 'running';
  return {
    number,
    tasks: [makeTask(`t${number}`, service, { slot: number, nodeId, status, desiredState })],
  };
}

describe('removalOrder', () => {
  const cases: { name: string; slots: Slot[]; expect: number[] }[] = [
    {
      name: 'takes what has no node first, then what has stopped',
      slots: [slot(1, 'a'), slot(2, '', 'pending'), slot(3, 'b', 'complete'), slot(4, 'b')],
      expect: [2, 3, 4, 1],
    },
    {
      name: 'takes from the fullest node first',
      slots: [slot(1, 'a'), slot(2, 'a'), slot(3, 'a'), slot(4, 'b')],
      expect: [3, 2, 4, 1],
    },
    {
      name: 'takes what does not run before what does',
      slots: [slot(1, 'a', 'starting'), slot(2, 'a'), slot(3, 'b'), slot(4, 'b', 'preparing')],
      expect: [4, 1, 3, 2],
    },
    {
      name: 'takes high slots before low ones at a tie',
      slots: [slot(3, 'c'), slot(1, 'a'), slot(2, 'b')],
      expect: [3, 2, 1],
    },
  ];
  for (const { name, slots, expect } of cases) {
    it(name, () => {
      assert.deepEqual(
        removalOrder(slots).map(({ number }) => number),
        expect,
      );
    });
  }

  it('leaves nodes within one task of each other where they were so before, at any size', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 300 }),
        fc.nat(300),
        (nodes, size, remove) => {
          const slots = Array.from({ length: size }, (_, n) => slot(n + 1, `n${n % nodes}`));
          const left = removalOrder(slots).slice(remove);
          const counts = Array.from(
            { length: Math.min(nodes, size) },
            (_, n) => left.filter(({ tasks }) => tasks[0]?.nodeId === `n${n}`).length,
          );
          assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
          const numbers = left.map(({ number }) => number);
          assert.ok(numbers.every((number) => number <= Math.max(size - remove, 0)));
        },
      ),
      { numRuns: 100 },
    );
  });
});
