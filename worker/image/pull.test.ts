import { strict as assert } from 'node:assert';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createImages, type NodeImages } from './index.ts';
import { chainIds } from './oci.ts';
import { startContainerd, type TestContainerd } from './testing/containerd.ts';
import { makeImage, makeLayer, pushImage } from './testing/image.ts';
import { startRegistry, type TestRegistry } from './testing/registry.ts';

const platform = { os: 'linux', architecture: 'amd64' };

describe('pull into a real containerd', () => {
  let containerd: TestContainerd;
  let registry: TestRegistry;
  let node: NodeImages;

  before(async () => {
    [containerd, registry] = await Promise.all([startContainerd(), startRegistry()]);
    node = createImages(
      { platform },
      { containerd: containerd.client, log: silentLogger, clock: realClock },
    );
  });
  after(async () => {
    await node[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await containerd[Symbol.asyncDispose]();
  });

  it('brings and unpacks layers of every compression', async () => {
    const layers = [
      await makeLayer({ 'bin/a': 'one' }, 'gzip'),
      await makeLayer({ 'bin/b': 'two' }, 'zstd'),
      await makeLayer({ 'bin/c': 'three' }, 'none'),
    ];
    const made = makeImage(layers, { config: { Cmd: ['/bin/a'], Env: ['A=1'] } });
    const digest = await pushImage(registry, 'web', '1', made);
    const name = `${registry.host}/web:1`;
    const statuses: string[] = [];
    const image = await node.images.pull(name, {
      onProgress: ({ status }) => statuses.push(status),
    });
    assert.equal(statuses.filter((status) => status === 'Pull complete').length, 3);
    assert.equal(image.rootfs.chainId, chainIds(layers.map(({ diffId }) => diffId)).at(-1));
    assert.deepEqual(image.config.cmd, ['/bin/a']);
    assert.deepEqual(image.repoTags, [name]);
    assert.deepEqual(image.repoDigests, [`${registry.host}/web@${digest}`]);
  });
});
