import { strict as assert } from 'node:assert';
import { plantedInNode } from './planted-node.ts';
import { plantedBugs, type Planted } from './planted.ts';
import { failureOf, runCore, runNode } from './run.ts';
import { settingsFor, type Settings } from './settings.ts';

/** More than the hardest one takes: seed 75. */
const maxSeeds = 300;
/** Runs without the bug, in the same settings, that have to go well. */
const honestSeeds = 10;

describe('the simulator finds planted bugs', function () {
  this.timeout(180_000);

  for (const bug of plantedBugs) {
    it(bug.name, () => {
      const { seed } = findBug(bug);
      // What it found is the bug, and not something that is there anyway.
      for (let other = 1; other <= honestSeeds; other++) {
        runCore({ seed: other, settings: settingsOf(bug, other) });
      }
      runCore({ seed, settings: settingsOf(bug, seed) });
    });
  }

  for (const { name, plant } of plantedInNode) {
    it(`in raft/node: ${name}`, async () => {
      for (let seed = 1; seed <= maxSeeds; seed++) {
        const error = await failure(async () => {
          const uproot = plant();
          try {
            await runNode({ seed });
          } finally {
            uproot();
          }
        });
        if (error === undefined) continue;
        await runNode({ seed });
        return;
      }
      assert.fail(`${maxSeeds} runs went well with the bug`);
    });
  }

  it('and shows the same again for the same seed, which the failure names', () => {
    const [bug] = plantedBugs;
    assert.ok(bug);
    const { seed, error } = findBug(bug);
    const told = [1, 2].map(() => {
      const lines: string[] = [];
      const settings = settingsOf(bug, seed);
      const say = (line: string) => lines.push(line);
      assert.throws(() => runCore({ seed, sabotage: bug.sabotage, settings, say }), error);
      return lines;
    });
    assert.ok((told[0]?.length ?? 0) > 100);
    assert.deepEqual(told[0], told[1]);
    const { message } = failureOf('core', seed, error);
    assert.match(message, new RegExp(`^seed ${seed} at commit [0-9a-f]{7,40}( with changes)?: `));
    assert.ok(message.includes(error.message), message);
    assert.ok(message.endsWith(`npm run sim -- --kind core --seed ${seed} --trace`), message);
  });
});

function settingsOf(bug: Planted, seed: number): Settings {
  return bug.change?.(settingsFor(seed)) ?? settingsFor(seed);
}

function findBug(bug: Planted): { seed: number; error: Error } {
  for (let seed = 1; seed <= maxSeeds; seed++) {
    try {
      runCore({ seed, sabotage: bug.sabotage, settings: settingsOf(bug, seed) });
    } catch (error) {
      assert.ok(error instanceof Error);
      return { seed, error };
    }
  }
  throw new Error(`${maxSeeds} runs went well with the bug`);
}

async function failure(work: () => Promise<void>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}
