import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layersOf, readRootfsFile } from './rootfs-file.ts';

describe('files of an image', () => {
  let root: string;
  let upper: string;
  let lower: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ts-swarm-layers-'));
    upper = join(root, 'upper');
    lower = join(root, 'lower');
    for (const folder of [upper, lower, join(lower, 'etc')]) mkdirSync(folder);
    writeFileSync(join(root, 'secret'), 'of the host');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const read = (path: string) => readRootfsFile([upper, lower], path);

  it('takes the topmost', async () => {
    writeFileSync(join(lower, 'etc/passwd'), 'low');
    assert.equal(await read('etc/passwd'), 'low');
    mkdirSync(join(upper, 'etc'));
    writeFileSync(join(upper, 'etc/passwd'), 'up');
    assert.equal(await read('etc/passwd'), 'up');
  });

  it('is empty where there is none, or no file', async () => {
    assert.equal(await read('etc/passwd'), '');
    assert.equal(await read('etc'), '');
    assert.equal(await read('nowhere/at/all'), '');
  });

  it('follows links inside the image only', async () => {
    symlinkSync('../../../../../../secret', join(lower, 'etc/up'));
    symlinkSync(join(root, 'secret'), join(lower, 'etc/absolute'));
    symlinkSync('loop', join(lower, 'etc/loop'));
    symlinkSync('/etc/real', join(lower, 'etc/good'));
    writeFileSync(join(lower, 'etc/real'), 'real');
    for (const name of ['up', 'absolute', 'loop']) assert.equal(await read(`etc/${name}`), '');
    assert.equal(await read('etc/good'), 'real');
    symlinkSync('/etc', join(upper, 'config'));
    assert.equal(await read('config/real'), 'real');
  });

  it('knows the layers of a snapshot', () => {
    const overlay = {
      type: 'overlay',
      source: 'overlay',
      options: ['index=off', 'workdir=/w', 'upperdir=/u', 'lowerdir=/a:/b'],
    };
    assert.deepEqual(layersOf([overlay]), ['/u', '/a', '/b']);
    assert.deepEqual(layersOf([{ type: 'bind', source: '/s', options: [] }]), ['/s']);
    assert.deepEqual(layersOf([]), []);
  });
});
