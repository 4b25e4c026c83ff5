/**
 * npm run sim -- --seeds N [--seed S] [--kind core|node] [--trace]
 *
 * Runs N seeds from S on and prints what fails, each with the command that shows it again.
 */
import { parseArgs } from 'node:util';
import { failureOf, runSeed, type Kind } from './run.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    seed: { type: 'string' },
    kind: { type: 'string', default: 'core' },
    trace: { type: 'boolean', default: false },
  },
});
const kind = values.kind as Kind;
const first = Number(values.seed ?? 1);
const count = Number(values.seeds);
if (!Number.isInteger(first) || !Number.isInteger(count) || !['core', 'node'].includes(kind)) {
  throw new Error('usage: npm run sim -- --seeds N [--seed S] [--kind core|node] [--trace]');
}

const sum = { runs: 0, failures: 0, operations: 0, done: 0, committed: 0, elections: 0 };
const startMs = performance.now();
for (let seed = first; seed < first + count; seed++) {
  sum.runs += 1;
  try {
    const say = values.trace ? { say: (line: string) => console.log(line) } : {};
    const result = await runSeed(kind, { seed, ...say });
    sum.operations += result.operations;
    sum.done += result.done;
    sum.committed += result.committed;
    sum.elections += result.elections;
  } catch (error) {
    sum.failures += 1;
    process.exitCode = 1;
    console.log(failureOf(kind, seed, error).message);
  }
  if (sum.runs % 1_000 === 0) console.log(`${sum.runs} runs, ${sum.failures} failures`);
}
const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
console.log(
  `${sum.runs} runs in ${seconds} s: ${sum.failures} failures; ${sum.operations} operations, ` +
    `${sum.done} of them done; ${sum.committed} entries committed; ${sum.elections} elections`,
);
