import { strict as assert } from 'node:assert';
import { failureOf, runCore, runNode } from './run.ts';

const seedsPerTest = 50;

describe('raft-ts under simulated faults', function () {
  this.timeout(180_000);

  for (let first = 1; first <= 200; first += seedsPerTest) {
    it(`keeps its promises: seeds ${first} to ${first + seedsPerTest - 1}`, () => {
      let done = 0;
      for (let seed = first; seed < first + seedsPerTest; seed++) {
        try {
          done += runCore({ seed }).done;
        } catch (error) {
          throw failureOf('core', seed, error);
        }
      }
      assert.ok(done > seedsPerTest * 20, `only ${done} operations were done`);
    });
  }

  for (let first = 1; first <= 90; first += 30) {
    it(`keeps its promises on real logs: seeds ${first} to ${first + 29}`, async () => {
      let done = 0;
      for (let seed = first; seed < first + 30; seed++) {
        try {
          done += (await runNode({ seed })).done;
        } catch (error) {
          throw failureOf('node', seed, error);
        }
      }
      assert.ok(done > 30 * 20, `only ${done} operations were done`);
    });
  }

  it('replays a run from its seed', async () => {
    for (const seed of [3, 7, 11]) {
      assert.deepEqual(runCore({ seed }), runCore({ seed }));
      assert.deepEqual(await runNode({ seed }), await runNode({ seed }));
    }
  });

  it('takes the same way whether it is watched or not', () => {
    const lines: string[] = [];
    const watched = runCore({ seed: 5, say: (line) => lines.push(line) });
    assert.deepEqual(watched, runCore({ seed: 5 }));
    assert.ok(lines.length > 100);
  });
});
