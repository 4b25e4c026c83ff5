import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TaskFile } from '../task/index.ts';
import { FileMounts } from './file-mounts.ts';

const tmpfsType = 0x01021994;

describe('the files of secrets and configs', function () {
  let parent: string;
  let folder: string;
  let mounts: FileMounts;

  before(function () {
    if (process.getuid?.() !== 0) this.skip();
  });
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'ts-swarm-file-mounts-'));
    folder = join(parent, 'files');
    mounts = new FileMounts(folder);
  });
  afterEach(async () => {
    await mounts.remove('c1');
    rmSync(parent, { recursive: true });
  });

  const file = (more: Partial<TaskFile> = {}): TaskFile => ({
    target: '/run/secrets/key',
    content: Buffer.from('swordfish'),
    uid: 7,
    gid: 8,
    mode: 0o440,
    ...more,
  });

  it('are in a file system in memory of their own, with owner and mode', async () => {
    const large = Buffer.alloc(1_023_999, 'x');
    const made = await mounts.write('c1', [file(), file({ target: '/x', content: large })]);
    assert.deepEqual(
      made.map(({ target, readOnly }) => [target, readOnly]),
      [
        ['/run/secrets/key', true],
        ['/x', true],
      ],
    );
    const [key, other] = made.map(({ source }) => source);
    assert.equal(readFileSync(key ?? '', 'utf8'), 'swordfish');
    const { mode, uid, gid } = statSync(key ?? '');
    assert.deepEqual([mode & 0o7777, uid, gid], [0o440, 7, 8]);
    assert.equal(readFileSync(other ?? '').length, large.length);
    assert.equal(statfsSync(join(folder, 'c1')).type, tmpfsType);
  });

  it('leave nothing behind, whether they were there or not', async () => {
    await mounts.write('c1', [file()]);
    await mounts.remove('c1');
    assert.equal(existsSync(join(folder, 'c1')), false);
    await mounts.remove('c1');
    await new FileMounts(join(parent, 'never')).remove('c1');
  });

  it('are made anew for a container that is made again', async () => {
    await mounts.write('c1', [file(), file({ target: '/x' })]);
    const [again] = await mounts.write('c1', [file({ content: Buffer.from('other') })]);
    assert.equal(readFileSync(again?.source ?? '', 'utf8'), 'other');
    assert.equal(existsSync(join(folder, 'c1', '1')), false);
    assert.deepEqual(await mounts.write('c1', []), []);
    assert.equal(existsSync(join(folder, 'c1')), false);
  });
});
