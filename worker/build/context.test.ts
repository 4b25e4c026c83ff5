import { strict as assert } from 'node:assert';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { Buildah } from './buildah.ts';
import { unpackTar } from './context.ts';

describe('a build context', () => {
  let folder: string;

  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ts-swarm-context-'))));
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('that its client gives up in the middle is no end of the daemon', async () => {
    const stop = new AbortController();
    const begun = Promise.withResolvers<void>();
    async function* half(): AsyncGenerator<Uint8Array> {
      const tar = pack();
      const entry = tar.entry({ name: 'large', size: 2 ** 30 });
      let chunks = 0;
      entry.write(Buffer.alloc(65_536));
      for await (const chunk of tar as AsyncIterable<Uint8Array>) {
        yield chunk;
        // By now tar has some of it, and waits for more.
        if (++chunks === 50) begun.resolve();
        entry.write(Buffer.alloc(65_536));
      }
    }
    const unpacking = unpackTar(half(), folder, stop.signal);
    await begun.promise;
    stop.abort(new Error('the client has gone'));
    await assert.rejects(unpacking, /the client has gone/);
  });

  it('is unpacked', async () => {
    const tar = pack();
    tar.entry({ name: 'Dockerfile' }, 'FROM scratch\n');
    tar.finalize();
    await unpackTar(tar as AsyncIterable<Uint8Array>, folder, new AbortController().signal);
    assert.deepEqual(await readdir(folder), ['Dockerfile']);
  });

  it('may end in more padding than tar reads', async () => {
    const tar = pack();
    tar.entry({ name: 'Dockerfile' }, 'FROM scratch\n');
    tar.finalize();
    async function* padded(): AsyncGenerator<Uint8Array> {
      yield* tar as AsyncIterable<Uint8Array>;
      for (let count = 0; count < 16; count++) yield Buffer.alloc(65_536);
    }
    await unpackTar(padded(), folder, new AbortController().signal);
    assert.deepEqual(await readdir(folder), ['Dockerfile']);
  });

  it('that is no tar is refused', async () => {
    const nonsense = async function* () {
      yield Buffer.alloc(2000, 'x');
    };
    await assert.rejects(unpackTar(nonsense(), folder, new AbortController().signal), {
      code: 'invalid-argument',
      message: /the build context cannot be unpacked/,
    });
  });

  it('waits for a folder that could not be made at first', async () => {
    const blocked = join(folder, 'file');
    await writeFile(blocked, '');
    const buildah = new Buildah({ dataRoot: join(blocked, 'data'), runRoot: join(folder, 'run') });
    const { signal } = new AbortController();
    await assert.rejects(buildah.run(['version'], { signal }), { code: 'ENOTDIR' });
    await rm(blocked);
    assert.equal((await buildah.run(['version'], { signal })).code, 0);
  });
});
