import { strict as assert } from 'node:assert';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMounted } from '../../lib/mount-table.ts';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { isMountLayer, Parts } from './parts.ts';

const image = { name: 'tools:1', chainId: 'chain' };

describe('mounts of images', () => {
  let folder: string;
  let parts: Parts;
  /** Keys of the layers that there are. */
  let layers: Set<string>;
  const spot = { containerId: 'web.1.abc', target: '/tools' };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-parts-'));
    const content = join(folder, 'image');
    mkdirSync(join(content, 'usr/share'), { recursive: true });
    writeFileSync(join(content, 'usr/share/file'), 'of the image');
    writeFileSync(join(folder, 'secret'), 'of the host');
    symlinkSync(folder, join(content, 'absolute'));
    symlinkSync('../../../..', join(content, 'usr/up'));
    symlinkSync('/usr/share', join(content, 'share'));
    layers = new Set();
    parts = new Parts(join(folder, 'parts'), {
      prepare: async (key) => void layers.add(key),
      mounts: async () => [{ type: 'bind', source: content, options: ['rbind', 'rw'] }],
      remove: async (key) => void layers.delete(key),
    });
  });
  afterEach(async () => {
    await parts.drop(spot.containerId);
    rmSync(folder, { recursive: true });
  });

  it('are read-only, each on a layer of its own, and go with the container', async () => {
    const whole = await parts.ofImage(image, undefined, spot);
    const part = await parts.ofImage(image, 'usr/share', { ...spot, target: '/part' });
    assert.equal(whole, parts.imagePath(spot, undefined));
    assert.equal(part, parts.imagePath({ ...spot, target: '/part' }, 'usr/share'));
    assert.equal(readFileSync(join(whole, 'usr/share/file'), 'utf8'), 'of the image');
    assert.equal(readFileSync(join(part, 'file'), 'utf8'), 'of the image');
    for (const place of [join(whole, 'usr/share'), part]) {
      assert.throws(() => writeFileSync(join(place, 'file'), 'x'), { code: 'EROFS' });
    }
    assert.equal(layers.size, 2);
    assert.ok([...layers].every(isMountLayer));
    await parts.drop(spot.containerId);
    assert.deepEqual([...layers], []);
    assert.ok(!isMounted(whole) && !isMounted(part));
    assert.ok(!existsSync(whole));
  });

  it('may be of one file, and of what a link inside leads to', async () => {
    const file = await parts.ofImage(image, 'usr/share/file', spot);
    assert.equal(readFileSync(file, 'utf8'), 'of the image');
    const linked = await parts.ofImage(image, 'share', { ...spot, target: '/linked' });
    assert.equal(readFileSync(join(linked, 'file'), 'utf8'), 'of the image');
  });

  for (const subpath of ['absolute/secret', 'usr/up/secret', 'usr/up/etc/passwd', '../secret']) {
    it(`do not lead out of the image by ${subpath}`, async () => {
      await assert.rejects(
        parts.ofImage(image, subpath, spot),
        isErrorCode('invalid-argument', /cannot access path .*: no such file or directory/),
      );
    });
  }

  it('are made anew over what a daemon that was killed has left', async () => {
    await parts.ofImage(image, undefined, spot);
    const whole = await parts.ofImage(image, undefined, spot);
    assert.equal(readFileSync(join(whole, 'usr/share/file'), 'utf8'), 'of the image');
    await parts.drop(spot.containerId);
    assert.ok(!isMounted(whole));
  });

  it('are let go of when their container is no more', async () => {
    const gone = await parts.ofImage(image, undefined, { containerId: 'gone', target: '/x' });
    // A reboot leaves folders and layers, and mounts nothing.
    mkdirSync(join(folder, 'parts/crashed/0123456789abcdef.image'), { recursive: true });
    layers.add('mount-crashed-0123456789abcdef');
    const kept = await parts.ofImage(image, undefined, spot);
    await parts.retain((containerId) => containerId === spot.containerId);
    assert.ok(!isMounted(gone) && isMounted(kept));
    assert.equal(layers.size, 1);
    assert.ok(!existsSync(join(folder, 'parts/crashed')));
  });
});
