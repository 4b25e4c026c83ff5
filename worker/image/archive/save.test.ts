import { strict as assert } from 'node:assert';
import { archiveOf } from './save.ts';

const manifest = Buffer.from('{"schemaVersion":2}');
const layer = { digest: `sha256:${'0'.repeat(64)}`, size: 1 << 20 };

describe('archives of images', () => {
  it('end with the error of a layer that breaks off, and end nothing else', async () => {
    async function* broken() {
      yield Buffer.alloc(1000);
      // The next look at the layer finds the client gone.
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error('the client has gone away');
    }
    const archive = archiveOf(manifest, [], broken, [layer]);
    await assert.rejects(async () => {
      for await (const _chunk of archive);
    }, /the client has gone away/);
  });

  it('are given up with whoever reads them', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    async function* endless() {
      try {
        for (;;) yield Buffer.alloc(64 * 1024);
      } finally {
        resolve();
      }
    }
    const archive = archiveOf(manifest, [], endless, [{ ...layer, size: 1 << 30 }]);
    const reader = archive[Symbol.asyncIterator]();
    await reader.next();
    await reader.return?.();
    await closed;
  });
});
