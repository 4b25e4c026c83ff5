/** `npm run sim:services -- --runs N [--from S] [--seed S]`: random services under simulation. */
import { parseArgs } from 'node:util';
import { runServices } from './run.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
  },
});
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.runs) : 1;
const total = { entries: 0, checks: 0, refused: 0, lines: 0 };
let failures = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    const { entries, checks, refused, lines } = await runServices(seed);
    total.entries += entries;
    total.checks += checks;
    total.refused += refused;
    total.lines += lines.length;
  } catch (error) {
    failures += 1;
    console.log(error instanceof Error ? error.message : String(error));
    if (count === 1 && error instanceof Error) console.log(error.cause);
  }
}
console.log(
  `${count} runs, ${failures} failed: ${total.lines} lines, ${total.entries} entries, ` +
    `${total.checks} looked at, ${total.refused} commands refused`,
);
process.exitCode = failures === 0 ? 0 : 1;
