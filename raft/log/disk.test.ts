/** The contract of the Disk port, on the real disk and on the one in memory. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Disk } from './disk.ts';
import { Log } from './log.ts';
import { MemoryDisk } from './memory-disk.ts';
import { nodeDisk } from './node-disk.ts';

interface Home extends AsyncDisposable {
  readonly disk: Disk;
  readonly folder: string;
}

async function realHome(): Promise<Home> {
  const root = await mkdtemp(join(tmpdir(), 'disk-'));
  const folder = join(root, 'a', 'b');
  return { disk: nodeDisk, folder, [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
}

const fakeHome = (): Promise<Home> =>
  Promise.resolve({
    disk: new MemoryDisk(),
    folder: '/a/b',
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

for (const { name, makeHome } of [
  { name: 'nodeDisk', makeHome: realHome },
  { name: 'MemoryDisk', makeHome: fakeHome },
]) {
  describe(`${name} as a Disk`, () => {
    it('writes and reads at any position', async () => {
      await using home = await makeHome();
      const { disk, folder } = home;
      await disk.makeFolder(folder);
      await disk.makeFolder(folder);
      const path = join(folder, 'file');
      const file = await disk.create(path);
      await file.write(Buffer.from('end'), 5);
      await file.write(Buffer.from('be'), 0);
      await file.sync();
      assert.equal(await file.size(), 8);
      await file.close();
      const again = await disk.open(path);
      const bytes = Buffer.alloc(10, 0xff);
      assert.equal(await again.read(bytes, 0), 8);
      assert.equal(bytes.toString('latin1'), 'be\0\0\0end\xff\xff');
      assert.equal(await again.read(bytes, 100), 0);
      await again.close();
      const emptied = await disk.create(path);
      assert.equal(await emptied.size(), 0);
      await emptied.close();
    });

    it('lists, renames and unlinks', async () => {
      await using home = await makeHome();
      const { disk, folder } = home;
      await disk.makeFolder(folder);
      for (const name of ['x', 'y']) await (await disk.create(join(folder, name))).close();
      await disk.rename(join(folder, 'x'), join(folder, 'z'));
      await disk.unlink(join(folder, 'y'));
      await disk.syncFolder(folder);
      assert.deepEqual(await disk.list(folder), ['z']);
      await assert.rejects(disk.open(join(folder, 'x')), { code: 'ENOENT' });
      await assert.rejects(disk.unlink(join(folder, 'x')), { code: 'ENOENT' });
    });

    it('locks a folder for one', async () => {
      await using home = await makeHome();
      const { disk, folder } = home;
      await disk.makeFolder(folder);
      const lock = await disk.lock(folder);
      await assert.rejects(async () => disk.lock(folder), { code: 'locked' });
      await lock.release();
      await (await disk.lock(folder)).release();
    });

    it('carries a log over a restart', async () => {
      await using home = await makeHome();
      const options = { ...home, segmentBytes: 8192 };
      const log = await Log.open(options);
      for (let index = 1; index <= 200; index++) {
        await log.append([{ index, term: 1, type: 0, data: Buffer.alloc(index, index) }]);
      }
      await log.compact(100);
      await log.close();
      await using again = await Log.open(options);
      assert.equal(again.lastIndex, 200);
      const [last] = await again.read(200, 200);
      assert.deepEqual(last?.data, Buffer.alloc(200, 200));
    });
  });
}

describe('nodeDisk', () => {
  it('keeps what it makes from other users', async () => {
    await using home = await realHome();
    const { folder } = home;
    await nodeDisk.makeFolder(folder);
    await (await nodeDisk.create(join(folder, 'file'))).close();
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    assert.equal((await stat(join(folder, 'file'))).mode & 0o777, 0o600);
  });

  it('frees the lock of a process that was killed', async () => {
    await using home = await realHome();
    const { folder } = home;
    await nodeDisk.makeFolder(folder);
    const module = join(import.meta.dirname, 'node-disk.ts');
    const program = `
      const { nodeDisk } = await import(${JSON.stringify(module)});
      globalThis.lock = await nodeDisk.lock(${JSON.stringify(folder)});
      process.stdout.write('locked');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await assert.rejects(async () => nodeDisk.lock(folder), {
      code: 'locked',
      message: /in use by another process/,
    });
    child.kill('SIGKILL');
    await ended;
    await (await nodeDisk.lock(folder)).release();
  });
});
