import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquirePidFile } from './pid-file.ts';

describe('pid file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-pid-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is held by one living process', () => {
    const path = join(folder, 'daemon.pid');
    const held = acquirePidFile(path);
    assert.throws(() => acquirePidFile(path), {
      code: 'failed-precondition',
      message: new RegExp(`process id ${process.pid} already runs on`),
    });
    held[Symbol.dispose]();
    assert.equal(existsSync(path), false);
  });

  it('says where there is no room for it', () => {
    const path = join(folder, 'daemon.pid');
    symlinkSync('/dev/full', `${path}.new`);
    assert.throws(() => acquirePidFile(path), {
      code: 'resource-exhausted',
      message: `no room is left in ${folder}: make some, and start the daemon again`,
    });
    assert.deepEqual(readdirSync(folder), []);
  });

  it('is taken over from a process that is gone, or whose id another one got', () => {
    const path = join(folder, 'daemon.pid');
    for (const holder of ['4194305 17\n', `${process.pid} 1\n`, '']) {
      writeFileSync(path, holder);
      acquirePidFile(path)[Symbol.dispose]();
    }
  });
});
