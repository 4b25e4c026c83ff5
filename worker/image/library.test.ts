import { strict as assert } from 'node:assert';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { ImageEvent } from '../../types/index.ts';
import { createImages } from './index.ts';
import { tarOf } from './testing/image.ts';
import { blobs, snapshots, startNode, testPlatform, type TestNode } from './testing/node.ts';

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const unused = { force: false, inUse: () => undefined };

describe('images in a real containerd', () => {
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
    assert.deepEqual(await blobs(node.containerd), []);
    events.length = 0;
  });

  async function make(reference: string | undefined, content: string): Promise<string> {
    const named = reference === undefined ? {} : { reference };
    return node.images.import(once(await tarOf({ file: content })), { ...named, changes: [] });
  }

  it('are found by name, id and start of an id', async () => {
    const id = await make('team/web:1', 'a');
    const hex = id.slice('sha256:'.length);
    for (const given of [
      'team/web:1',
      'docker.io/team/web:1',
      id,
      hex,
      hex.slice(0, 12),
      `sha256:${hex.slice(0, 5)}`,
    ]) {
      assert.equal((await node.images.get(given))?.id, id, given);
    }
    for (const given of ['team/web', 'web:1', 'no such thing!', `${hex}0`, 'f'.repeat(64)]) {
      assert.equal(await node.images.get(given), undefined, given);
    }
  });

  it('are refused by a start of an id that several have', async () => {
    const ids = new Map<string, string>();
    for (let count = 0; ; count += 1) {
      const id = await make(undefined, `content ${count}`);
      const start = id.slice('sha256:'.length, 'sha256:'.length + 1);
      if (ids.has(start)) {
        await assert.rejects(node.images.get(start), {
          code: 'invalid-argument',
          message: new RegExp(`^ambiguous image id "${start}": 2 images`),
        });
        return;
      }
      ids.set(start, id);
    }
  });

  it('have as many names as are given to them, and are listed once', async () => {
    const id = await make('a:1', 'a');
    await node.images.tag('a:1', 'b:2');
    await node.images.tag(id, '10.99.0.254:5000/c');
    const list = await node.images.list();
    assert.deepEqual(
      list.map((image) => [image.id, image.repoTags]),
      [[id, ['10.99.0.254:5000/c:latest', 'a:1', 'b:2']]],
    );
    assert.deepEqual(
      events.map(({ action, name }) => [action, name]),
      [
        ['tag', 'a:1'],
        ['import', id],
        ['tag', 'b:2'],
        ['tag', '10.99.0.254:5000/c:latest'],
      ],
    );
  });

  it('stay without a name when another takes theirs, until a new one is given', async () => {
    const old = await make('a:1', 'old');
    const current = await make('a:1', 'new');
    assert.equal((await node.images.get('a:1'))?.id, current);
    assert.deepEqual((await node.images.get(old))?.repoTags, []);
    await node.images.tag(old, 'a:old');
    assert.deepEqual((await node.images.get(old))?.repoTags, ['a:old']);
    assert.equal((await node.images.list()).length, 2);
    await node.images.remove('a:old', unused);
    assert.equal(await node.images.get(old), undefined);
  });

  it('go with their last name, and take along what nothing else needs', async () => {
    const id = await make('a:1', 'a');
    await node.images.tag(id, 'b:1');
    assert.deepEqual(await node.images.remove('a:1', unused), [{ untagged: 'a:1' }]);
    const chainId = (await node.images.get(id))?.rootfs.chainId;
    assert.deepEqual(await node.images.remove('b:1', unused), [
      { untagged: 'b:1' },
      { deleted: id },
      { deleted: chainId },
    ]);
    assert.deepEqual(await blobs(node.containerd), []);
    assert.deepEqual(await snapshots(node.containerd), []);
    assert.deepEqual(
      events.slice(-3).map(({ action, id: of }) => [action, of === id]),
      [
        ['untag', true],
        ['untag', true],
        ['delete', true],
      ],
    );
    await assert.rejects(node.images.remove('b:1', unused), {
      code: 'not-found',
      message: 'No such image: b:1',
    });
  });

  it('stay while a container uses them, also when their name is forced away', async () => {
    const id = await make('a:1', 'a');
    const used = { inUse: (of: string) => (of === id ? 'web.1.xyz' : undefined) };
    await assert.rejects(node.images.remove('a:1', { ...used, force: false }), {
      code: 'failed-precondition',
      message: /^conflict: unable to remove repository reference "a:1" \(must force\)/,
    });
    assert.deepEqual(await node.images.remove('a:1', { ...used, force: true }), [
      { untagged: 'a:1' },
    ]);
    assert.deepEqual((await node.images.get(id))?.repoTags, []);
    assert.equal((await snapshots(node.containerd)).length, 1);
  });

  it('are named properly or not at all', async () => {
    const id = await make('a:1', 'a');
    await assert.rejects(node.images.tag('nope', 'b'), {
      code: 'not-found',
      message: 'No such image: nope',
    });
    await assert.rejects(node.images.tag(id, 'B'), { code: 'invalid-argument' });
    await assert.rejects(node.images.tag(id, `b@${id}`), {
      code: 'invalid-argument',
      message: /^refusing to create a tag with a digest reference/,
    });
  });

  it('are there again after a restart, and listed past a record that is broken', async () => {
    const id = await make('a:1', 'a');
    const { client } = node.containerd;
    await client.images.create({
      image: {
        name: 'docker.io/library/broken:1',
        target: { mediaType: 'x', digest: `sha256:${'0'.repeat(64)}`, size: 1n },
      },
    });
    await using again = createImages(
      { platform: testPlatform },
      { containerd: client, log: silentLogger, clock: realClock },
    );
    for (const { images } of [node, again]) {
      assert.deepEqual(
        (await images.list()).map((image) => image.id),
        [id],
      );
    }
    assert.deepEqual(await node.images.remove('broken:1', unused), [{ untagged: 'broken:1' }]);
    await assert.rejects(node.images.remove('broken:1', unused), { code: 'not-found' });
  });
});
