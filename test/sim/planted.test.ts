import { strict as assert } from 'node:assert';
import { plantedBugs } from './planted.ts';
import { runCore } from './run.ts';
import { settingsFor } from './settings.ts';

/** More than the hardest one takes: at about seed 430. */
const maxSeeds = 2_000;

describe('the simulator finds planted bugs', function () {
  this.timeout(60_000);

  for (const { name, sabotage, change } of plantedBugs) {
    it(name, () => {
      for (let seed = 1; seed <= maxSeeds; seed++) {
        const settings = change?.(settingsFor(seed)) ?? settingsFor(seed);
        if (passes(() => runCore({ seed, sabotage, settings }))) continue;
        // What it found is the bug, and not something that is there anyway.
        runCore({ seed, settings });
        return;
      }
      assert.fail(`${maxSeeds} runs went well with the bug`);
    });
  }
});

function passes(run: () => void): boolean {
  try {
    run();
    return true;
  } catch {
    return false;
  }
}
