import { strict as assert } from 'node:assert';
import { VirtualClock } from './clock.ts';
import { Recurring } from './recurring.ts';

/** Lets everything that can go on go on. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('recurring work', () => {
  it('goes on after a round that failed, and rests before each', async () => {
    const clock = new VirtualClock();
    const failures: unknown[] = [];
    let rounds = 0;
    await using work = new Recurring({
      restMs: () => 100 * (rounds + 1),
      round: async () => {
        rounds += 1;
        if (rounds === 1) throw new Error('not yet');
      },
      onFailure: (error) => failures.push(error),
      clock,
    });
    work.start();
    const seen: number[] = [];
    for (const ms of [99, 1, 199, 1, 300]) {
      clock.advance(ms);
      await turn();
      seen.push(rounds);
    }
    assert.deepEqual(seen, [0, 1, 1, 2, 3]);
    assert.deepEqual(failures.map(String), ['Error: not yet']);
  });

  it('ends with the round that is under way, which hears of it', async () => {
    const clock = new VirtualClock();
    const failures: unknown[] = [];
    let rounds = 0;
    const work = new Recurring({
      restMs: () => 1,
      round: async () => {
        rounds += 1;
        await clock.sleep(1_000_000, { signal: work.signal });
      },
      onFailure: (error) => failures.push(error),
      clock,
    });
    work.start();
    clock.advance(1);
    await turn();
    await work[Symbol.asyncDispose]();
    clock.advance(10);
    await turn();
    assert.deepEqual([rounds, failures], [1, []]);
  });

  it('that was never begun ends at once', async () => {
    const idle = { restMs: () => 1, round: async () => undefined, onFailure: () => undefined };
    await new Recurring({ ...idle, clock: new VirtualClock() })[Symbol.asyncDispose]();
  });
});
