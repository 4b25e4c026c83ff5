import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { transcriptFiles } from '../testing/files.ts';
import { runTranscript } from '../testing/transcript.ts';

describe('transcripts (rewrite with: node raft/testing/transcripts.ts --update)', () => {
  for (const { name, path } of transcriptFiles()) {
    it(name, () => {
      const text = readFileSync(path, 'utf8');
      assert.equal(runTranscript(text), text);
    });
  }
});
