import { strict as assert } from 'node:assert';
import type { PinnedMount } from '../runtime/runtime.ts';
import { needsImage, pinImages } from './pinned.ts';

const rootfsOf = (name: string) => ({ name, chainId: `chain of ${name}` });

describe('mounts of images', () => {
  it('are pinned to what their names mean now, once', async () => {
    const asked: string[] = [];
    const earlier = { imageId: 'earlier', rootfs: rootfsOf('old') };
    const mounts: readonly PinnedMount[] = [
      { type: 'image', source: 'tools:1', target: '/a' },
      { type: 'volume', source: 'v', target: '/v' },
      { type: 'image', source: 'old:1', target: '/b', pinned: earlier },
    ];
    const pinned = await pinImages(mounts, async (name) => {
      asked.push(name);
      return { id: `id of ${name}`, rootfs: rootfsOf(name) };
    });
    assert.deepEqual(asked, ['tools:1']);
    const found = { imageId: 'id of tools:1', rootfs: rootfsOf('tools:1') };
    assert.deepEqual(pinned, [{ ...mounts[0], pinned: found }, mounts[1], mounts[2]]);
    const container = { imageId: 'own', mounts: pinned };
    const needed = ['own', 'id of tools:1', 'earlier', 'v', 'old:1'].map((id) =>
      needsImage(container, id),
    );
    assert.deepEqual(needed, [true, true, true, false, false]);
  });

  it('are not there without their image', async () => {
    const missing = new Error('No such image: tools:1');
    await assert.rejects(
      pinImages([{ type: 'image', source: 'tools:1', target: '/a' }], () =>
        Promise.reject(missing),
      ),
      missing,
    );
  });
});
