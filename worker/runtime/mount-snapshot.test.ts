import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unmount } from '../network/syscalls.ts';
import { commonFolder, mountSnapshot, shortened } from './mount-snapshot.ts';

describe('mounts of snapshots', () => {
  const options = ['index=off', 'lowerdir=/a/b/12/fs:/a/b/7/fs', 'upperdir=/a/b/9/fs'];

  for (const [name, given, expect] of [
    ['of layers and the layer on them', options, '/a/b'],
    ['of one folder in another', ['lowerdir=/a/b:/a/b/c'], '/a'],
    ['that have only the root in common', ['lowerdir=/a/b', 'workdir=/c/d'], ''],
  ] as const) {
    it(`know the folder ${name}`, () => assert.equal(commonFolder(given), expect));
  }

  it('are written shorter from there', () => {
    assert.deepEqual(shortened(options, '/a/b', '/x'), [
      'index=off',
      'lowerdir=/x/12/fs:/x/7/fs',
      'upperdir=/x/9/fs',
    ]);
  });

  for (const readOnly of [true, false]) {
    it(`are made of 125 layers in a long path, ${readOnly ? 'read-only' : 'writable'}`, function () {
      if (process.getuid?.() !== 0) this.skip();
      const folder = mkdtempSync(join(tmpdir(), 'mount-snapshot-'));
      const deep = join(folder, 'a-folder-with-a-name-that-is-long'.repeat(4));
      const place = (name: string) => join(deep, name, 'fs');
      const target = join(folder, 'target');
      for (const name of ['upper', 'work']) mkdirSync(place(name), { recursive: true });
      const lower = Array.from({ length: 125 }, (_, at) => place(String(at)));
      for (const [at, path] of lower.entries()) {
        mkdirSync(path, { recursive: true });
        writeFileSync(join(path, 'file'), `of ${at}`);
        writeFileSync(join(path, String(at)), '');
      }
      mkdirSync(target);
      const layers = [
        `lowerdir=${lower.join(':')}`,
        `upperdir=${place('upper')}`,
        `workdir=${place('work')}`,
      ];
      const snapshot = { type: 'overlay', source: 'overlay', options: layers };
      mountSnapshot(snapshot, target, { readOnly });
      try {
        assert.equal(readFileSync(join(target, 'file'), 'utf8'), 'of 0');
        assert.equal(readFileSync(join(target, '124'), 'utf8'), '');
        const write = () => writeFileSync(join(target, 'new'), 'x');
        if (readOnly) {
          assert.throws(write, /EROFS/);
        } else {
          write();
          assert.equal(readFileSync(join(place('upper'), 'new'), 'utf8'), 'x');
        }
      } finally {
        unmount(target);
        rmSync(folder, { recursive: true });
      }
    });
  }
});
