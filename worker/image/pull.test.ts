import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { SwarmError } from '../../lib/errors.ts';
import type { ImageEvent } from '../../types/index.ts';
import type { PullProgress } from './images.ts';
import { chainIds, mediaTypes, sha256 } from './oci.ts';
import { blobs, leases, snapshots, startNode, type TestNode } from './testing/node.ts';
import { makeImage, makeLayer, pushImage, type MadeImage } from './testing/image.ts';
import { startProxy, type ProxyRegistry } from './testing/proxy.ts';
import { pushBlob, pushManifest, startRegistry, type TestRegistry } from './testing/registry.ts';

const quickRetry = { attempts: 3, firstDelayMs: 1, maxDelayMs: 4 };

describe('pull into a real containerd', () => {
  let node: TestNode;
  let registry: TestRegistry;
  let proxy: ProxyRegistry;
  const events: ImageEvent[] = [];

  before(async () => {
    [node, registry] = await Promise.all([startNode({ retry: quickRetry }), startRegistry()]);
    proxy = await startProxy(registry);
    node.node.onEvent((event) => events.push(event));
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    proxy.requests.length = 0;
    proxy.ranges.length = 0;
    proxy.intercept = () => false;
    events.length = 0;
  });
  afterEach(async () => {
    for (const { id } of await node.images.list()) {
      await node.images.remove(id, { force: true, inUse: () => undefined });
    }
    // What a broken pull left for the next try belongs to leases, which here end at once.
    for (const id of await leases(node.containerd)) {
      assert.match(id, /^ts-swarm-resume-/, 'a lease is left behind');
      await node.containerd.client.leases.delete({ id, sync: true });
    }
    assert.deepEqual(await blobs(node.containerd), [], 'blobs are left behind');
    assert.deepEqual(await snapshots(node.containerd), [], 'snapshots are left behind');
  });

  async function push(name: string, tag: string, ...files: Record<string, string>[]) {
    const layers = await Promise.all(files.map((layer) => makeLayer(layer)));
    const image = makeImage(layers, { config: { Cmd: ['/bin/a'], Env: ['A=1'] } });
    const digest = await pushImage(registry, name, tag, image);
    return { image, digest, name: `${proxy.host}/${name}` };
  }
  const asked = (what: string) => proxy.requests.filter((line) => line.includes(what)).length;

  it('brings and unpacks layers of every compression, and tells how far it is', async () => {
    const layers = [
      await makeLayer({ 'bin/a': 'one' }, 'gzip'),
      await makeLayer({ 'bin/b': 'two' }, 'zstd'),
      await makeLayer({ 'bin/c': 'three' }, 'none'),
    ];
    const made = makeImage(layers, { config: { Cmd: ['/bin/a'], Env: ['A=1'] } });
    const digest = await pushImage(registry, 'web', '1', made);
    const name = `${proxy.host}/web:1`;
    const told: PullProgress[] = [];
    const image = await node.images.pull(name, { onProgress: (progress) => told.push(progress) });
    assert.deepEqual(image.repoTags, [name]);
    assert.deepEqual(image.repoDigests, [`${proxy.host}/web@${digest}`]);
    assert.equal(image.id, sha256(made.config));
    assert.equal(image.rootfs.chainId, chainIds(layers.map(({ diffId }) => diffId)).at(-1));
    assert.deepEqual(image.platform, { os: 'linux', architecture: 'amd64' });
    assert.equal(image.createdAt, '2026-01-02T03:04:05Z');
    assert.ok(image.sizeBytes > 0);
    const shortId = layers[1]?.digest.slice(7, 19);
    assert.deepEqual(
      told.filter(({ id }) => id === shortId).map(({ status }) => status),
      [
        'Pulling fs layer',
        'Downloading',
        'Verifying Checksum',
        'Download complete',
        'Extracting',
        'Pull complete',
      ],
    );
    assert.deepEqual(told.slice(-2), [
      { status: `Digest: ${digest}` },
      { status: `Status: Downloaded newer image for ${name}` },
    ]);
    assert.deepEqual(
      events.map(({ action, id }) => [action, id]),
      [['pull', name]],
    );
  });

  it('asks only what a tag names now when the image is present', async () => {
    const { name } = await push('again', '1', { a: 'a' });
    await node.images.pull(`${name}:1`);
    proxy.requests.length = 0;
    const told: string[] = [];
    await node.images.pull(`${name}:1`, { onProgress: ({ status }) => told.push(status) });
    assert.deepEqual(proxy.requests, ['HEAD /v2/again/manifests/1']);
    assert.equal(told.at(-1), `Status: Image is up to date for ${name}:1`);
    assert.deepEqual(
      events.map(({ action, id }) => [action, id]),
      [
        ['pull', `${name}:1`],
        ['pull', `${name}:1`],
      ],
    );
  });

  it('asks nothing for a digest that is present', async () => {
    const { name, digest } = await push('pinned', '1', { a: 'a' });
    const first = await node.images.pull(`${name}:1@${digest}`);
    assert.deepEqual(first.repoTags, [], 'a pinned reference names no tag');
    assert.deepEqual(first.repoDigests, [`${name}@${digest}`]);
    proxy.requests.length = 0;
    assert.equal((await node.images.pull(`${name}@${digest}`)).id, first.id);
    assert.deepEqual(proxy.requests, []);
  });

  it('follows a tag that moves, and shares layers with what is present', async () => {
    const { image, name } = await push('moving', '1', { base: 'b' }, { a: 'a' });
    const old = await node.images.pull(`${name}:1`);
    await push('moving', '1', { base: 'b' }, { a: 'changed' });
    proxy.requests.length = 0;
    const told: PullProgress[] = [];
    const current = await node.images.pull(`${name}:1`, { onProgress: (p) => told.push(p) });
    assert.notEqual(current.id, old.id);
    assert.equal(asked(image.layers[0]?.digest ?? ''), 0, 'the shared layer is not fetched again');
    assert.ok(told.some(({ status }) => status === 'Already exists'));
    const kept = await node.images.get(old.id);
    assert.deepEqual(kept?.repoTags, [], 'the old image lost its tag');
    assert.equal(kept.repoDigests.length, 1, 'and is there by its digest');
  });

  async function pushIndex(name: string, images: Record<string, MadeImage>): Promise<string> {
    const manifests = [];
    for (const [architecture, image] of Object.entries(images)) {
      const digest = sha256(JSON.stringify(image.manifest));
      await pushImage(registry, name, digest, image);
      const size = JSON.stringify(image.manifest).length;
      const platform = { os: 'linux', architecture };
      manifests.push({ mediaType: mediaTypes.ociManifest, digest, size, platform });
    }
    const index = { schemaVersion: 2, mediaType: mediaTypes.dockerIndex, manifests };
    return pushManifest(registry, name, '1', index);
  }

  it("takes this platform's image of an index, and tells what a registry offers", async () => {
    const amd64 = makeImage([await makeLayer({ a: 'amd64' })]);
    const arm64 = makeImage([await makeLayer({ a: 'arm64' })], { architecture: 'arm64' });
    const digest = await pushIndex('multi', { arm64, amd64 });
    const name = `${proxy.host}/multi:1`;
    assert.deepEqual(await node.images.distribution(name), {
      digest,
      mediaType: mediaTypes.dockerIndex,
      sizeBytes: (await node.images.distribution(name)).sizeBytes,
      platforms: [
        { os: 'linux', architecture: 'arm64' },
        { os: 'linux', architecture: 'amd64' },
      ],
    });
    const image = await node.images.pull(name);
    assert.equal(image.id, sha256(amd64.config));
    assert.deepEqual(image.repoDigests, [`${proxy.host}/multi@${digest}`]);
    assert.equal(asked(arm64.layers[0]?.digest ?? ''), 0);
  });

  it('says when there is no image for this platform', async () => {
    const arm64 = makeImage([await makeLayer({ a: 'arm64' })], { architecture: 'arm64' });
    await pushIndex('foreign', { arm64 });
    await assert.rejects(node.images.pull(`${proxy.host}/foreign:1`), {
      code: 'not-found',
      message: /^no matching manifest for linux\/amd64 in the manifest list entries/,
    });
  });

  it('is done once for all who ask at the same time', async () => {
    const { image, name } = await push('shared', '1', { a: 'a' }, { b: 'b' });
    const impatient = new AbortController();
    const calls = Array.from({ length: 20 }, (_, index) =>
      node.images.pull(`${name}:1`, index === 0 ? { signal: impatient.signal } : {}),
    );
    impatient.abort(new Error('no time'));
    const [first, ...others] = await Promise.allSettled(calls);
    assert.equal(first?.status, 'rejected');
    assert.ok(others.every(({ status }) => status === 'fulfilled'));
    assert.equal(asked('manifests/1'), 1);
    for (const { digest } of image.layers) assert.equal(asked(digest), 1);
    assert.equal(events.length, 1);
  });

  it('stops when all who asked have given up, and can be asked again', async () => {
    const { image, name } = await push('stopped', '1', { a: 'a' });
    const [layer] = image.layers;
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const { promise: closed, resolve: close } = Promise.withResolvers<void>();
    proxy.intercept = (line, response) => {
      if (!line.includes(layer?.digest ?? '')) return false;
      response.writeHead(200, { 'content-length': layer?.blob.length ?? 0 });
      response.write(layer?.blob.subarray(0, 10));
      response.on('close', close);
      resolve();
      return true;
    };
    const controller = new AbortController();
    const call = node.images.pull(`${name}:1`, { signal: controller.signal });
    await reached;
    controller.abort(new Error('enough'));
    await assert.rejects(call, /^Error: enough$/);
    proxy.intercept = () => false;
    const again = node.images.pull(`${name}:1`);
    await closed;
    assert.deepEqual((await again).repoTags, [`${name}:1`]);
  });

  it('goes on, in a later call, with a layer that broke off', async () => {
    const layer = await makeLayer({ a: randomBytes(1_500_000).toString('base64') });
    await pushImage(registry, 'resumed', '1', makeImage([layer]));
    const name = `${proxy.host}/resumed:1`;
    proxy.intercept = (line, response) => {
      if (!line.includes(layer.digest)) return false;
      if (proxy.ranges.length > 0) response.destroy();
      else {
        response.writeHead(200, { 'content-length': layer.blob.length });
        response.write(layer.blob.subarray(0, 1_200_000), () => response.destroy());
      }
      return true;
    };
    for (let times = 0; times < 3; times++) {
      await assert.rejects(node.images.pull(name), { code: 'unavailable' });
      assert.equal((await leases(node.containerd)).length, 1, 'what came so far is held once');
    }
    proxy.intercept = () => false;
    proxy.ranges.length = 0;
    await node.images.pull(name);
    const [range = ''] = proxy.ranges;
    const start = Number(/^bytes=(\d+)-/.exec(range)?.[1]);
    assert.ok(start >= 524_288, `the second call asked for ${range || 'everything'}`);
  });

  it('refuses a layer that is not what its digest or its diff id says', async () => {
    const good = await makeLayer({ a: 'a' });
    const other = await makeLayer({ a: 'b' });
    const { name } = await push('forged', '1', { a: 'a' });
    proxy.intercept = (line, response) => {
      if (!line.includes(good.digest)) return false;
      response.end(Buffer.alloc(good.blob.length, 'x'));
      return true;
    };
    await assert.rejects(node.images.pull(`${name}:1`), {
      code: 'failed-precondition',
      message: /^filesystem layer verification failed for digest sha256:/,
    });
    proxy.intercept = () => false;
    const forged = makeImage([{ ...other, diffId: good.diffId }]);
    await pushImage(registry, 'forged', '2', forged);
    await assert.rejects(node.images.pull(`${name}:2`), {
      code: 'failed-precondition',
      message: /^wrong diff id calculated on extraction/,
    });
    assert.ok((await node.images.pull(`${name}:1`)).id, 'the right one still comes in');
  });

  it('uses what is present when the registry is away, but not when it says no', async () => {
    const { name } = await push('away', '1', { a: 'a' });
    const image = await node.images.pull(`${name}:1`);
    proxy.intercept = (_, response) => {
      response.destroy();
      return true;
    };
    assert.equal((await node.images.pull(`${name}:1`)).id, image.id);
    const told: PullProgress[] = [];
    const onProgress = (progress: PullProgress) => told.push(progress);
    await assert.rejects(node.images.pull(`${name}:2`, { onProgress }), { code: 'unavailable' });
    assert.deepEqual(told, [], 'what cannot be found fails before the first word');
    proxy.intercept = (_, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
      return true;
    };
    await assert.rejects(node.images.pull(`${name}:1`), {
      code: 'not-found',
      message: `manifest for ${name}:1 not found: manifest unknown: manifest unknown`,
    });
  });

  it('fetches again what was lost behind its back', async () => {
    const { image, name, digest } = await push('lost', '1', { a: 'a' });
    const { rootfs } = await node.images.pull(`${name}@${digest}`);
    const { snapshots: service } = node.containerd.client;
    await service.remove({ snapshotter: 'overlayfs', key: rootfs.chainId });
    assert.equal(await node.images.get(`${name}@${digest}`), undefined);
    proxy.requests.length = 0;
    assert.equal((await node.images.pull(`${name}@${digest}`)).rootfs.chainId, rootfs.chainId);
    assert.equal(asked(image.layers[0]?.digest ?? ''), 0, 'its blob was still there');
  });

  it('refuses what is no container image, and no name', async () => {
    const config = Buffer.from('{}');
    await pushBlob(registry, 'chart', config);
    const layer = await makeLayer({ a: 'a' });
    await pushBlob(registry, 'chart', layer.blob);
    const { manifest } = makeImage([layer]);
    await pushManifest(registry, 'chart', '1', {
      ...manifest,
      config: { mediaType: 'application/x', digest: sha256(config), size: config.length },
    } as { mediaType: string });
    await assert.rejects(node.images.pull(`${proxy.host}/chart:1`), {
      code: 'failed-precondition',
      message: /has 1 layers, but its configuration names 0; only container images/,
    });
    await assert.rejects(node.images.pull('Not A Name'), (thrown) => {
      assert.ok(thrown instanceof SwarmError);
      assert.match(thrown.message, /^invalid reference format/);
      return true;
    });
  });
});
