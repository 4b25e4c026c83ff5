import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../lib/log.ts';
import { makeMemoryFolder, releaseMemoryFolder } from './memory-folder.ts';

describe('a folder in memory', function () {
  let parent: string;
  let folder: string;
  const type = (path: string) => statfsSync(path).type;

  before(function () {
    if (process.getuid?.() !== 0) this.skip();
  });
  beforeEach(function () {
    parent = mkdtempSync(join(tmpdir(), 'ts-swarm-memory-'));
    folder = join(parent, 'runtime');
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  it('is made once, kept by the next daemon, and released', async () => {
    await makeMemoryFolder(folder, silentLogger);
    writeFileSync(join(folder, 'kept'), '');
    await makeMemoryFolder(folder, silentLogger);
    assert.ok(existsSync(join(folder, 'kept')));
    await releaseMemoryFolder(folder, parent);
    assert.equal(type(folder), type(parent));
    assert.equal(existsSync(join(folder, 'kept')), false);
    await releaseMemoryFolder(folder, parent);
  });

  it('does not hide what is there', async () => {
    await makeMemoryFolder(folder, silentLogger);
    await releaseMemoryFolder(folder, parent);
    writeFileSync(join(folder, 'there'), '');
    await makeMemoryFolder(folder, silentLogger);
    assert.ok(existsSync(join(folder, 'there')));
  });
});
