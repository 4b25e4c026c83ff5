/** What bin/ts-swarm does before the command line is anybody's: it chooses a Node, and no more. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

describe('bin/ts-swarm', () => {
  let root: string;

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'ts-swarm-bin-'));
    for (const folder of ['bin', 'dist/cli', 'node_modules/node/bin']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    copyFileSync(resolve(import.meta.dirname, '../bin/ts-swarm'), join(root, 'bin/ts-swarm'));
    symlinkSync(process.execPath, join(root, 'node_modules/node/bin/node'));
    writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
    const told = 'JSON.stringify(process.argv.slice(2))';
    writeFileSync(join(root, 'dist/cli/main.js'), `console.log(${told});`);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const run = (argv: readonly string[]) =>
    JSON.parse(execFileSync(join(root, 'bin/ts-swarm'), argv, { encoding: 'utf8' })) as unknown;

  for (const flag of ['--env-file', '--env-file-if-exists', '--require', '--version']) {
    it(`leaves ${flag} to the command, and a file that is not there as well`, () => {
      const missing = join(root, 'nope.env');
      const argv = ['service', 'create', flag, missing, `${flag}=${missing}`, 'web:1'];
      assert.deepEqual(run(argv), argv);
    });
  }

  it('reads nothing of the file that --env-file names, such as options of Node', () => {
    const file = join(root, 'app.env');
    writeFileSync(file, 'NODE_OPTIONS=--require=/nope.cjs\n');
    const argv = ['run', '--env-file', file, 'web:1'];
    assert.deepEqual(run(argv), argv);
  });
});
