import { strict as assert } from 'node:assert';
import { mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { markLayer } from './container-mark.ts';

describe('the file that marks a container', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mark-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const cases = [
    { name: 'of layers', type: 'overlay', source: 'overlay', option: 'upperdir=' },
    { name: 'that is one folder', type: 'bind', source: '', option: '' },
  ];
  for (const { name, type, source, option } of cases) {
    it(`is written into a file system ${name}`, async () => {
      const options = option === '' ? ['rbind'] : [`${option}${folder}`, 'lowerdir=/nosuch'];
      const mounts = [{ type, source: source || folder, options }];
      await markLayer(mounts);
      await markLayer(mounts);
      const { mode, size } = await stat(join(folder, '.dockerenv'));
      assert.deepEqual([mode & 0o777, size], [0o755, 0]);
    });
  }

  it('follows no link of an image', async () => {
    const outside = join(folder, 'outside');
    await symlink(outside, join(folder, '.dockerenv'));
    await markLayer([{ type: 'bind', source: folder, options: [] }]);
    await assert.rejects(readFile(outside), { code: 'ENOENT' });
  });

  it('is not written to a block device', async () => {
    await markLayer([{ type: 'ext4', source: '/dev/nosuch', options: [] }]);
  });
});
