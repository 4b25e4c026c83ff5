import { strict as assert } from 'node:assert';
import { imageUsages } from './image-usage.ts';

const image = (id: string, layers: Readonly<Record<string, number>>) => ({
  id,
  layerBytes: Object.values(layers),
  rawConfig: { rootfs: { diff_ids: Object.keys(layers) } },
});

describe('what images take on the disk', () => {
  const images = [
    image('base', { a: 100, b: 10 }),
    image('child', { a: 100, b: 10, c: 1 }),
    // The same layer on another is another.
    image('other', { z: 5, b: 10 }),
    { id: 'unmeasured', rawConfig: {} },
  ];
  const { layersBytes, usageOf } = imageUsages(images, ['child', 'child', 'gone']);

  it('counts each layer once', () => assert.equal(layersBytes, 100 + 10 + 1 + 5 + 10));

  const cases: [string, number, number][] = [
    ['base', 110, 0],
    ['child', 110, 2],
    ['other', 0, 0],
    ['unmeasured', 0, 0],
  ];
  for (const [id, sharedBytes, containers] of cases) {
    it(`of ${id}`, () => assert.deepEqual(usageOf(id), { sharedBytes, containers }));
  }
});
