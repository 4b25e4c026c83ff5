/** node raft/testing/transcripts.ts [--update] [NAME…]: runs transcripts; `--update` rewrites. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { transcriptFiles } from './files.ts';
import { runTranscript } from './transcript.ts';

const { values, positionals } = parseArgs({
  options: { update: { type: 'boolean', default: false } },
  allowPositionals: true,
});
for (const { name, path } of transcriptFiles()) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const before = readFileSync(path, 'utf8');
  const after = runTranscript(before);
  if (after === before) {
    console.log(`${name}: as written`);
  } else if (values.update) {
    writeFileSync(path, after);
    console.log(`${name}: rewritten`);
  } else {
    console.log(`${name}: differs; see the test, or rewrite it with --update`);
    process.exitCode = 1;
  }
}
