/** node test/scenario/run.ts [--update] [NAME…]: runs scenarios; `--update` rewrites their output. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { caseFiles } from './cases.ts';
import { runScenario } from './scenario.ts';

const { values, positionals } = parseArgs({
  options: { update: { type: 'boolean', default: false } },
  allowPositionals: true,
});
for (const { name, path } of caseFiles()) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const before = readFileSync(path, 'utf8');
  const after = await runScenario(before);
  if (after === before) console.log(`${name}: as written`);
  else if (values.update) {
    writeFileSync(path, after);
    console.log(`${name}: rewritten`);
  } else {
    console.log(`${name}: differs; see the test, or rewrite it with --update`);
    process.exitCode = 1;
  }
}
