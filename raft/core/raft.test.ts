import { strict as assert } from 'node:assert';
import { randomRun } from './random-run.ts';

describe('raft core under random faults', () => {
  for (const nodes of [1, 3, 5]) {
    it(`keeps its promises with ${nodes} nodes`, () => {
      let committed = 0;
      for (let seed = 1; seed <= 60; seed++) {
        try {
          committed += randomRun({ seed, steps: 2_000, nodes }).committed;
        } catch (error) {
          throw new Error(`seed ${seed} with ${nodes} nodes`, { cause: error });
        }
      }
      assert.ok(committed > 60 * 100, `only ${committed} entries were committed`);
    });
  }

  it('replays a run from its seed', () => {
    const options = { seed: 42, steps: 3_000, nodes: 5 };
    assert.deepEqual(randomRun(options), randomRun(options));
  });
});
