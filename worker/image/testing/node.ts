/** A whole set of images on a real containerd and a real registry, for tests. */
import { realClock } from '../../../lib/clock.ts';
import { silentLogger, type Logger } from '../../../lib/log.ts';
import { createImages, type ImagesOptions, type NodeImages } from '../index.ts';
import { startContainerd, type TestContainerd } from './containerd.ts';

export const testPlatform = { os: 'linux', architecture: 'amd64' };

export interface TestNode extends AsyncDisposable {
  readonly containerd: TestContainerd;
  readonly node: NodeImages;
  readonly images: NodeImages['images'];
}

export async function startNode(
  options: Partial<ImagesOptions> = {},
  log: Logger = silentLogger,
): Promise<TestNode> {
  const containerd = await startContainerd();
  const node = createImages(
    { platform: testPlatform, ...options },
    { containerd: containerd.client, log, clock: realClock },
  );
  return {
    containerd,
    node,
    images: node.images,
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await containerd[Symbol.asyncDispose]();
    },
  };
}

/** Digests of all blobs that containerd holds. */
export async function blobs({ client }: TestContainerd): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { info } of client.content.list({})) {
    found.push(...info.map(({ digest }) => digest));
  }
  return found.sort();
}

/** Names of all snapshots, active ones and committed ones. */
export async function snapshots({ client }: TestContainerd): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { info } of client.snapshots.list({ snapshotter: 'overlayfs' })) {
    found.push(...info.map(({ name }) => name));
  }
  return found.sort();
}

export async function leases({ client }: TestContainerd): Promise<readonly string[]> {
  const { leases: found } = await client.leases.list({});
  return found.map(({ id }) => id);
}
