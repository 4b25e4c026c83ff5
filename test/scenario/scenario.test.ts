import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { caseFiles } from './cases.ts';
import { runScenario } from './scenario.ts';

describe('scenarios (rewrite with: node test/scenario/run.ts --update)', () => {
  for (const { name, path } of caseFiles()) {
    it(name, async () => {
      const text = readFileSync(path, 'utf8');
      assert.equal(await runScenario(text), text);
    });
  }
});
