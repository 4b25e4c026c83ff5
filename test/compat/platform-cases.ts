/** Images for several platforms: `--platform` of the verbs that look at them and move them. */
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { newDocker, ownCli, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';

const title = 'images of one platform out of several';
const verbs = ['image save', 'image inspect', 'image history', 'image rm', 'image load'];

export function platformCases(get: () => Field): void {
  for (const verb of verbs) shows(title, verb, '--platform');
  for (const cli of [newDocker, ownCli].filter((one) => one !== undefined)) {
    it(`${title}, by ${cli.name}`, () => work(get(), cli));
  }

  it('what an image consists of is told to those who ask', async () => {
    const field = get();
    const file = await archived(field);
    await ownCli.run(field.manager, 'image', 'load', '-i', file);
    const ask = <T>(path: string) => field.manager.api<T>('GET', path);
    interface Summary {
      readonly Descriptor?: { readonly digest: string; readonly mediaType: string };
      readonly VirtualSize?: number;
      readonly Manifests?: readonly {
        readonly ID: string;
        readonly Kind: string;
        readonly Available: boolean;
        readonly Size: { readonly Content: number; readonly Total: number };
        readonly ImageData?: { readonly Platform: { readonly architecture: string } };
      }[];
    }
    const filters = encodeURIComponent(JSON.stringify({ reference: ['multi'] }));
    const [listed] = await ask<Summary[]>(`/v1.50/images/json?manifests=1&filters=${filters}`);
    assert.equal(listed?.Descriptor?.mediaType, 'application/vnd.oci.image.index.v1+json');
    const inspected = await ask<Summary>('/v1.50/images/multi:1/json?manifests=1');
    assert.deepEqual(inspected.Manifests, listed.Manifests);
    assert.deepEqual(
      listed.Manifests?.map(({ Kind, Available, ImageData }) => [
        Kind,
        Available,
        ImageData?.Platform.architecture,
      ]),
      [
        ['image', true, 'amd64'],
        ['image', true, 'arm64'],
      ],
    );
    for (const { Size } of listed.Manifests ?? []) assert.ok(Size.Content > 0);
    const both = '/v1.50/images/multi:1/json?manifests=1&platform={"os":"linux"}';
    const conflict = await field.manager.apiResult('GET', encodeURI(both));
    assert.equal(conflict.status, 400);
    assert.match(conflict.body, /conflicting options: manifests and platform options cannot/);
    // Older versions keep their shapes.
    const old = await ask<Summary>('/v1.43/images/multi:1/json?manifests=1');
    assert.deepEqual(
      [old.Descriptor, old.Manifests, typeof old.VirtualSize],
      [undefined, undefined, 'number'],
    );
    await ownCli.run(field.manager, 'image', 'rm', 'multi:1');
  });
}

async function work(field: Field, cli: Cli): Promise<void> {
  const { manager, lab } = field;
  const docker = (...args: string[]) => cli.run(manager, 'image', ...args);
  const refused = async (says: RegExp, ...args: string[]) => {
    const { code, stderr } = await cli.result(manager, ['image', ...args]);
    assert.notEqual(code, 0, args.join(' '));
    assert.match(stderr, says);
  };
  const file = await archived(field);
  const arm = ['--platform', 'linux/arm64'];
  const architecture = (...more: string[]) =>
    docker('inspect', ...more, '-f', '{{.Architecture}}', 'multi:1');

  assert.match(await docker('load', '-i', file), /Loaded image: multi:1\n/);
  assert.equal(await architecture(), 'amd64\n');
  assert.equal(await architecture(...arm), 'arm64\n');
  await refused(
    /does not provide the specified platform \(linux\/s390x\)/,
    'inspect',
    '--platform',
    'linux/s390x',
    'multi:1',
  );
  assert.match(await docker('history', '--no-trunc', ...arm, 'multi:1'), /made for arm64/);
  assert.match(await docker('history', '--no-trunc', 'multi:1'), /made for amd64/);
  if (cli === newDocker) {
    const tree = await docker('ls', '--tree');
    assert.match(tree, /multi:1[^]*linux\/amd64[^]*linux\/arm64/);
  }

  const saved = `${lab.folder}/saved-arm64.tar`;
  await docker('save', ...arm, '-o', saved, 'multi:1');
  await docker('rm', 'multi:1');
  await docker('load', '-i', saved);
  assert.equal(await architecture(), 'arm64\n');
  await docker('rm', 'multi:1');

  await docker('load', ...arm, '-i', file);
  assert.equal(await architecture(), 'arm64\n');
  await docker('rm', 'multi:1');
  await refused(
    /does not provide the specified platform \(linux\/s390x\)/,
    'load',
    '--platform',
    'linux/s390x',
    '-i',
    file,
  );

  await docker('load', '-i', file);
  const removed = await docker('rm', '--force', ...arm, 'multi:1');
  assert.match(removed, /^Deleted: sha256:[0-9a-f]{64}\n$/);
  assert.equal(await architecture(), 'amd64\n');
  await refused(/does not provide the specified platform/, 'inspect', ...arm, 'multi:1');
  await docker('load', '-i', file);
  await docker('rm', '--force', '--platform', 'linux/amd64', 'multi:1');
  assert.equal(await architecture(), 'arm64\n');
  const last = await docker('rm', '--force', ...arm, 'multi:1');
  assert.match(last, /^Untagged: multi:1\nDeleted: sha256:/);
}

/** An OCI archive of one image for two platforms. */
async function archived({ lab }: Field): Promise<string> {
  const layerTar = pack();
  layerTar.entry({ name: 'hello' }, 'hello\n');
  layerTar.finalize();
  const layer = await buffer(layerTar);
  const blobs = new Map<string, Buffer>();
  const store = (bytes: Buffer) => {
    const digest = createHash('sha256').update(bytes).digest('hex');
    blobs.set(digest, bytes);
    return { digest: `sha256:${digest}`, size: bytes.length };
  };
  const storeJson = (document: object) => store(Buffer.from(JSON.stringify(document)));
  const type = (name: string) => `application/vnd.oci.image.${name}.v1`;
  const layerBlob = { mediaType: `${type('layer')}.tar`, ...store(layer) };
  const manifests = ['amd64', 'arm64'].map((architecture) => {
    const config = storeJson({
      architecture,
      os: 'linux',
      created: '2026-01-01T00:00:00Z',
      config: { Cmd: ['/hello'] },
      rootfs: { type: 'layers', diff_ids: [layerBlob.digest] },
      history: [{ created: '2026-01-01T00:00:00Z', created_by: `made for ${architecture}` }],
    });
    const manifest = storeJson({
      schemaVersion: 2,
      mediaType: `${type('manifest')}+json`,
      config: { mediaType: `${type('config')}+json`, ...config },
      layers: [layerBlob],
    });
    const platform = { architecture, os: 'linux' };
    return { mediaType: `${type('manifest')}+json`, ...manifest, platform };
  });
  const mediaType = `${type('index')}+json`;
  const annotations = { 'io.containerd.image.name': 'docker.io/library/multi:1' };
  const inner = {
    mediaType,
    ...storeJson({ schemaVersion: 2, mediaType, manifests }),
    annotations,
  };
  const tar = pack();
  tar.entry({ name: 'oci-layout' }, '{"imageLayoutVersion":"1.0.0"}');
  for (const [digest, bytes] of blobs) tar.entry({ name: `blobs/sha256/${digest}` }, bytes);
  tar.entry({ name: 'index.json' }, JSON.stringify({ schemaVersion: 2, manifests: [inner] }));
  tar.finalize();
  const file = `${lab.folder}/multi.tar`;
  await pipeline(tar, createWriteStream(file));
  return file;
}
