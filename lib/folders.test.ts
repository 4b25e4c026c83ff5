import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolders, makeFoldersSync } from './folders.ts';

const ways = {
  makeFolders,
  makeFoldersSync: (path: string, mode?: number) =>
    new Promise<void>((done) => {
      makeFoldersSync(path, mode);
      done();
    }),
};

for (const [name, make] of Object.entries(ways)) {
  describe(name, () => {
    let root: string;

    beforeEach(() => {
      root = mkdtempSync(join(tmpdir(), 'folders-'));
    });

    afterEach(() => rmSync(root, { recursive: true }));

    it('makes a folder, and what is missing above it', async () => {
      await make(join(root, 'a/b/c'), 0o700);
      for (const path of ['a', 'a/b', 'a/b/c']) {
        const found = statSync(join(root, path));
        assert.equal(found.isDirectory() && found.mode & 0o777, 0o700, path);
      }
    });

    it('leaves one that is there as it is', async () => {
      const before = statSync(root).mode;
      await make(root, 0o111);
      assert.equal(statSync(root).mode, before);
    });

    it('ends at a file', async () => {
      const file = join(root, 'file');
      writeFileSync(file, '');
      await assert.rejects(make(file), { code: 'EEXIST' });
      await assert.rejects(make(join(file, 'below')), { code: 'ENOTDIR' });
    });

    it('ends where nobody may make any', async () => {
      await assert.rejects(make('/proc/nobody/makes/this'), { code: 'ENOENT' });
    });
  });
}
