/**
 * npm run sim -- --seeds N [--seed S] [--kind core|node] [--bug NAME] [--trace]
 *
 * Runs N seeds from S on and prints what fails, each with the command that shows it again. `--bug`
 * plants one of those of planted.ts, named by words of its name.
 */
import { parseArgs } from 'node:util';
import { plantedBugs } from './planted.ts';
import { failureOf, runSeed, type Kind } from './run.ts';
import { settingsFor } from './settings.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    seed: { type: 'string' },
    kind: { type: 'string', default: 'core' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const kind = values.kind as Kind;
const first = Number(values.seed ?? 1);
const count = Number(values.seeds);
if (!Number.isInteger(first) || !Number.isInteger(count) || !['core', 'node'].includes(kind)) {
  throw new Error(
    'usage: npm run sim -- --seeds N [--seed S] [--kind core|node] [--bug NAME] [--trace]',
  );
}
const bug = plantedBugs.find(({ name }) => values.bug !== undefined && name.includes(values.bug));
if ((bug === undefined) !== (values.bug === undefined) || (bug !== undefined && kind !== 'core')) {
  const names = plantedBugs.map(({ name }) => name).join('\n  ');
  throw new Error(`these can be planted, in the core:\n  ${names}`);
}

/** With the bug come the settings in which it shows. */
function planted(seed: number) {
  if (bug === undefined) return {};
  const settings = settingsFor(seed);
  return { sabotage: bug.sabotage, settings: bug.change?.(settings) ?? settings };
}

const sum = { runs: 0, failures: 0, operations: 0, done: 0, committed: 0, elections: 0 };
const startMs = performance.now();
for (let seed = first; seed < first + count; seed++) {
  sum.runs += 1;
  try {
    const say = values.trace ? { say: (line: string) => console.log(line) } : {};
    const result = await runSeed(kind, { seed, ...planted(seed), ...say });
    sum.operations += result.operations;
    sum.done += result.done;
    sum.committed += result.committed;
    sum.elections += result.elections;
  } catch (error) {
    sum.failures += 1;
    process.exitCode = 1;
    console.log(failureOf(kind, seed, error, bug && ` --bug '${bug.name}'`).message);
  }
  if (sum.runs % 1_000 === 0) console.log(`${sum.runs} runs, ${sum.failures} failures`);
}
const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
console.log(
  `${sum.runs} runs in ${seconds} s: ${sum.failures} failures; ${sum.operations} operations, ` +
    `${sum.done} of them done; ${sum.committed} entries committed; ${sum.elections} elections`,
);
