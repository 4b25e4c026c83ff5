import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheUsage, usageOf } from './cache-usage.ts';

const layers = [
  { id: 'base1', 'diff-size': 100 },
  { id: 'base2', parent: 'base1', 'diff-size': 20 },
  { id: 'step', parent: 'base2', 'diff-size': 3 },
  { id: 'other', parent: 'base2' },
];
const created = (second: number) => `2026-01-02T03:04:0${second}.5Z`;
const images = [
  { id: 'S', layer: 'step', created: created(3) },
  { id: 'label', layer: 'step', names: null, created: created(4) },
  { id: 'B', layer: 'base2', names: ['registry/base:1'], created: created(1) },
  { id: 'O', layer: 'other', created: created(2) },
  { id: 'empty', created: 'nonsense' },
];

describe('the use of the build cache', () => {
  it('counts each layer once, for the first image that has it', () => {
    const found = usageOf(images, layers).map(({ id, parent, sizeBytes }) => [
      id,
      parent,
      sizeBytes,
    ]);
    assert.deepEqual(found, [
      ['empty', '', 0],
      ['B', '', 120],
      ['O', 'B', 0],
      ['S', 'B', 3],
      ['label', 'S', 0],
    ]);
  });

  it('tells when each was made, and of which name', () => {
    const [, base] = usageOf(images, layers);
    assert.deepEqual(base?.names, ['registry/base:1']);
    assert.equal(base.createdAtMs, Date.parse(created(1)));
  });

  it('ends where layers are their own parents', () => {
    const loop = [{ id: 'a', parent: 'a', 'diff-size': 5 }];
    assert.equal(usageOf([{ id: 'x', layer: 'a' }], loop)[0]?.sizeBytes, 5);
  });

  it('is read from the storage, and is none where nothing was built', async () => {
    const storage = mkdtempSync(join(tmpdir(), 'cache-usage-'));
    try {
      assert.deepEqual(await cacheUsage({ storage }), []);
      for (const [folder, file, content] of [
        ['overlay-images', 'images.json', images],
        ['overlay-layers', 'layers.json', layers],
      ] as const) {
        mkdirSync(join(storage, folder));
        writeFileSync(join(storage, folder, file), JSON.stringify(content));
      }
      assert.equal((await cacheUsage({ storage })).length, images.length);
    } finally {
      rmSync(storage, { recursive: true });
    }
  });
});
