/** Random services under simulation, and the proof that its rules find what is wrong. */
import { strict as assert } from 'node:assert';
import { execute } from './execute.ts';
import { randomProgram } from './program.ts';
import { runServices } from './run.ts';
import { shrink } from './shrink.ts';

const seeds = 24;

describe('random services under simulation', function () {
  this.timeout(120_000);

  it(`keep to their rules with seeds 1 to ${seeds}`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { checks } = await runServices(seed);
      assert.ok(checks > 0, `nothing was checked with seed ${seed}`);
    }
  });

  it('run the same way with the same seed, and another way with another', async () => {
    const [first, again, other] = [
      await execute(randomProgram(3), { seed: 3 }),
      await execute(randomProgram(3), { seed: 3 }),
      await execute(randomProgram(4), { seed: 4 }),
    ];
    assert.deepEqual(again, first);
    assert.notEqual(other.digest, first.digest);
  });

  it('are shortened to what is needed to fail', async () => {
    const lines = Array.from({ length: 40 }, (_, at) => `line ${at}`);
    const needed = ['line 3', 'line 17', 'line 38'];
    const left = await shrink(lines, (shorter) =>
      Promise.resolve(needed.every((line) => shorter.includes(line))),
    );
    assert.deepEqual(left, needed);
  });
});
