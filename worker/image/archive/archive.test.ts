import { strict as assert } from 'node:assert';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { mediaTypes, sha256 } from '../oci.ts';
import type { ImageEvent } from '../../../types/index.ts';
import { makeImage, makeLayer, pushImage, tarOf } from '../testing/image.ts';
import { blobs, leases, snapshots, startNode, type TestNode } from '../testing/node.ts';
import { startRegistry } from '../testing/registry.ts';

const run = promisify(execFile);

const compressed = {
  none: (tar: Buffer) => tar,
  gzip: (tar: Buffer) => gzipSync(tar),
  zstd: (tar: Buffer) => zstdCompressSync(tar),
  bzip2: (tar: Buffer) => byProgram('bzip2', tar),
  xz: (tar: Buffer) => byProgram('xz', tar),
} as const;

function byProgram(name: string, input: Buffer): Buffer {
  const { status, stdout } = spawnSync(name, ['-c'], { input });
  assert.equal(status, 0, `${name} works`);
  return stdout;
}

/** In pieces that split headers, magic numbers and all. */
async function* stream(bytes: Uint8Array, pieceBytes = 1000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    yield bytes.subarray(start, start + pieceBytes);
  }
}

describe('archives in a real containerd', () => {
  let node: TestNode;
  const events: ImageEvent[] = [];

  before(async () => {
    node = await startNode();
    node.node.onEvent((event) => events.push(event));
  });
  after(() => node[Symbol.asyncDispose]());
  afterEach(async () => {
    for (const { id } of await node.images.list()) {
      await node.images.remove(id, { force: true, inUse: () => undefined });
    }
    assert.deepEqual(await blobs(node.containerd), [], 'blobs are left behind');
    assert.deepEqual(await snapshots(node.containerd), [], 'snapshots are left behind');
    assert.deepEqual(await leases(node.containerd), [], 'leases are left behind');
    events.length = 0;
  });

  describe('import', () => {
    for (const [name, compress] of Object.entries(compressed)) {
      it(`makes an image of a tarball, compression ${name}`, async () => {
        const tar = await tarOf({ 'bin/web': 'x'.repeat(100_000) });
        const id = await node.images.import(stream(compress(tar), 3), {
          reference: 'local/web:7',
          message: 'by hand',
          changes: ['CMD ["/bin/web"]', 'ENV A=1', 'EXPOSE 80'],
        });
        const image = await node.images.get('local/web:7');
        assert.equal(image?.id, id);
        assert.deepEqual(image.repoTags, ['local/web:7']);
        assert.deepEqual(image.config.cmd, ['/bin/web']);
        assert.deepEqual(image.config.exposedPorts, ['80/tcp']);
        assert.equal(image.rootfs.chainId, sha256(tar));
        assert.equal(image.rawConfig['comment'], 'by hand');
        assert.deepEqual(
          events.map(({ action, id: of, name: called }) => [action, of, called]),
          [
            ['tag', id, 'local/web:7'],
            ['import', id, id],
          ],
        );
      });
    }

    it('makes a nameless image without a reference, found by a start of its id', async () => {
      const id = await node.images.import(stream(await tarOf({ a: 'b' })), { changes: [] });
      const image = await node.images.get(id.slice('sha256:'.length, 20));
      assert.equal(image?.id, id);
      assert.deepEqual(image.repoTags, []);
      await node.images.tag(id, 'named');
      assert.deepEqual((await node.images.get(id))?.repoTags, ['named:latest']);
    });

    const wrong: readonly { name: string; bytes: Buffer; change?: string; message: RegExp }[] = [
      { name: 'nothing', bytes: Buffer.alloc(0), message: /the tarball is empty/ },
      { name: 'no tar', bytes: Buffer.alloc(2000, 'x'), message: /cannot be unpacked/ },
      {
        name: 'damaged xz',
        bytes: Buffer.from('fd377a585a000004', 'hex'),
        message: /^the archive cannot be read: xz: .*Unexpected end of input$/,
      },
      {
        name: 'damaged bzip2',
        bytes: Buffer.from(`BZh91AY&SY${'x'.repeat(100_000)}`),
        message: /^the archive cannot be read: .*bzip2: Data integrity error/,
      },
      { name: 'a wrong change', bytes: Buffer.alloc(1), change: 'RUN x', message: /RUN is not a/ },
    ];
    for (const { name, bytes, change, message } of wrong) {
      it(`refuses ${name}`, async () => {
        const changes = change === undefined ? [] : [change];
        await assert.rejects(node.images.import(stream(bytes), { reference: 'x', changes }), {
          code: 'invalid-argument',
          message,
        });
      });
    }
  });

  describe('load', () => {
    let folder: string;

    before(async () => {
      folder = await mkdtemp('/tmp/images-archives-');
      await using registry = await startRegistry();
      const base = await makeLayer({ 'bin/base': 'base'.repeat(10_000) });
      const top = await makeLayer({ 'bin/top': 'top' });
      const image = makeImage([base, top], { config: { Cmd: ['/bin/top'] } });
      await pushImage(registry, 'web', '1', image);
      const source = `docker://${registry.host}/web:1`;
      const copy = (target: string) =>
        run('skopeo', ['--insecure-policy', 'copy', '--src-tls-verify=false', source, target]);
      await copy(`docker-archive:${join(folder, 'docker.tar')}:team/web:1`);
      await copy(`oci-archive:${join(folder, 'oci.tar')}:team/web:2`);
      await copy(`oci-archive:${join(folder, 'untagged.tar')}`);
    });
    after(() => rm(folder, { recursive: true }));

    const archives: readonly {
      file: string;
      expect: RegExp;
      compression?: keyof typeof compressed;
    }[] = [
      { file: 'docker.tar', expect: /^team\/web:1$/ },
      { file: 'docker.tar', expect: /^team\/web:1$/, compression: 'gzip' },
      { file: 'docker.tar', expect: /^team\/web:1$/, compression: 'xz' },
      { file: 'oci.tar', expect: /^team\/web:2$/, compression: 'bzip2' },
      { file: 'oci.tar', expect: /^team\/web:2$/ },
      { file: 'oci.tar', expect: /^team\/web:2$/, compression: 'zstd' },
      { file: 'untagged.tar', expect: /^sha256:[0-9a-f]{64}$/ },
    ];
    for (const { file, expect, compression = 'none' } of archives) {
      it(`takes ${file}, compression ${compression}`, async () => {
        const plain = await readFile(join(folder, file));
        const bytes = compressed[compression](plain);
        const loaded = await node.images.load(stream(bytes));
        assert.equal(loaded.length, 1);
        const [name = ''] = loaded;
        assert.match(name, expect);
        const image = await node.images.get(name);
        assert.deepEqual(image?.config.cmd, ['/bin/top']);
        assert.ok((await snapshots(node.containerd)).includes(image.rootfs.chainId));
        assert.deepEqual(
          events.map(({ action, name: called }) => [action, called]),
          [['load', image.id]],
        );
      });
    }

    it("takes an archive of docker's old form, whose layers are links", async () => {
      const layer = await makeLayer({ f: 'f' }, 'none');
      const { config } = makeImage([layer, layer]);
      const { pack } = await import('tar-stream');
      const archive = pack();
      archive.entry({ name: 'aa/', type: 'directory' });
      archive.entry({ name: 'aa/VERSION' }, '1.0');
      archive.entry({ name: 'aa/layer.tar' }, layer.blob);
      archive.entry({ name: 'bb/layer.tar', type: 'symlink', linkname: '../aa/layer.tar' });
      archive.entry({ name: 'cafe.json' }, config);
      archive.entry(
        { name: 'manifest.json' },
        JSON.stringify([
          {
            Config: 'cafe.json',
            RepoTags: ['a:1', 'b:1'],
            Layers: ['aa/layer.tar', 'bb/layer.tar'],
          },
        ]),
      );
      archive.finalize();
      assert.deepEqual(await node.images.load(archive as AsyncIterable<Buffer>), ['a:1', 'b:1']);
      assert.deepEqual((await node.images.get('b:1'))?.repoTags, ['a:1', 'b:1']);
    });

    it('takes what runs here of an index that lists more than the archive holds', async () => {
      const layer = await makeLayer({ f: 'f' });
      const image = makeImage([layer]);
      const manifest = JSON.stringify(image.manifest);
      const entry = (digest: string, size: number, architecture: string) => ({
        mediaType: mediaTypes.ociManifest,
        digest,
        size,
        platform: { os: 'linux', architecture },
      });
      const inner = JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [
          entry(sha256('absent'), 6, 'arm64'),
          entry(sha256(manifest), manifest.length, 'amd64'),
        ],
      });
      const blob = (content: string) => [`blobs/sha256/${sha256(content).slice(7)}`, content];
      const files = Object.fromEntries([
        ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
        blob(manifest),
        blob(inner),
        blob(image.config.toString()),
        [
          'index.json',
          JSON.stringify({
            schemaVersion: 2,
            manifests: [
              {
                mediaType: mediaTypes.ociIndex,
                digest: sha256(inner),
                size: inner.length,
                annotations: { 'io.containerd.image.name': 'docker.io/library/multi:1' },
              },
            ],
          }),
        ],
      ]) as Record<string, string>;
      const { pack } = await import('tar-stream');
      const archive = pack();
      for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
      archive.entry({ name: `blobs/sha256/${layer.digest.slice(7)}` }, layer.blob);
      archive.finalize();
      assert.deepEqual(await node.images.load(archive as AsyncIterable<Buffer>), ['multi:1']);
    });

    it('takes what containerd still has of a blob that was removed just now', async () => {
      const archive = await readFile(join(folder, 'oci.tar'));
      await node.images.load(stream(archive));
      const image = await node.images.get('team/web:2');
      const digest = image?.manifest.digest ?? '';
      await node.containerd.client.content.delete({ digest });
      assert.deepEqual(await node.images.load(stream(archive)), ['team/web:2']);
    });

    it('refuses what is damaged or no archive, and leaves nothing', async () => {
      const good = await readFile(join(folder, 'oci.tar'));
      const flipped = Buffer.from(good);
      const gzipAt = flipped.indexOf(Buffer.from([0x1f, 0x8b]));
      flipped[gzipAt + 20] = (flipped[gzipAt + 20] ?? 0) ^ 0xff;
      const cases: readonly [Uint8Array, RegExp][] = [
        [flipped, /^the archive's blobs\/sha256\/\w+ is damaged: /],
        [good.subarray(0, good.length / 2), /^the archive cannot be read: /],
        [gzipSync(good).subarray(0, -100), /^the archive cannot be read: /],
        [Buffer.alloc(4096, 'x'), /^the archive cannot be read: /],
        [Buffer.alloc(0), /^the archive holds neither/],
        [await tarOf({ 'etc/passwd': 'x' }), /^the archive holds neither/],
        [await tarOf({ 'manifest.json': '{}' }), /^manifest.json is not a list/],
        [
          await tarOf({ 'manifest.json': '[{"Config":"c","Layers":[]}]' }),
          /^the archive names "c", but does not hold it/,
        ],
      ];
      for (const [bytes, message] of cases) {
        await assert.rejects(node.images.load(stream(bytes)), {
          code: 'invalid-argument',
          message,
        });
      }
    });
  });
});
