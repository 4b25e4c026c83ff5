import { strict as assert } from 'node:assert';
import type { ServerResponse } from 'node:http';
import type { PullProgress, RegistryAuth } from './images.ts';
import { mediaTypes, sha256 } from './oci.ts';
import { makeImage, makeLayer, pushImage } from './testing/image.ts';
import { startNode, type TestNode } from './testing/node.ts';
import { startProxy, type ProxyRegistry } from './testing/proxy.ts';
import {
  pushManifest,
  startRegistry,
  testerHtpasswd,
  testerPassword,
  type TestRegistry,
} from './testing/registry.ts';
import { fault, startStub, type StubRequest } from './testing/stub.ts';

const quickRetry = { attempts: 3, firstDelayMs: 1, maxDelayMs: 4 };
const tester = { username: 'tester', password: testerPassword };

describe('push to a real registry', () => {
  let node: TestNode;
  let registry: TestRegistry;
  let guarded: TestRegistry;
  let proxy: ProxyRegistry;

  before(async () => {
    [node, registry, guarded] = await Promise.all([
      startNode({ retry: quickRetry }),
      startRegistry(),
      startRegistry({ htpasswd: testerHtpasswd }),
    ]);
    proxy = await startProxy(registry);
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await Promise.all([registry, guarded, node].map((part) => part[Symbol.asyncDispose]()));
  });
  beforeEach(() => {
    proxy.requests.length = 0;
    proxy.intercept = () => false;
  });
  afterEach(async () => {
    for (const { id } of await node.images.list()) {
      await node.images.remove(id, { force: true, inUse: () => undefined });
    }
  });

  /** An image of two layers, brought from `name` in the registry. */
  async function brought(name: string) {
    const layers = [
      await makeLayer({ 'bin/a': `one of ${name}` }, 'gzip'),
      await makeLayer({ 'bin/b': `two of ${name}` }, 'zstd'),
    ];
    const made = makeImage(layers);
    const digest = await pushImage(registry, name, '1', made);
    await node.images.pull(`${proxy.host}/${name}:1`);
    return { digest, layers, shortIds: layers.map(({ diffId }) => diffId.slice(7, 19)) };
  }
  async function push(name: string, auth?: RegistryAuth): Promise<readonly PullProgress[]> {
    const told: PullProgress[] = [];
    const onProgress = (progress: PullProgress) => told.push(progress);
    await node.images.push(name, { onProgress, ...(auth === undefined ? {} : { auth }) });
    return told;
  }
  const wordsOf = (told: readonly PullProgress[], id: string | undefined) =>
    told.filter((step) => step.id === id).map(({ status }) => status);

  it('sends blobs and the manifest as it was pulled, and tells what Docker tells', async () => {
    const { digest, shortIds } = await brought('web');
    const target = `${guarded.host}/team/web:2`;
    await node.images.tag(`${proxy.host}/web:1`, target);
    const told = await push(target, tester);
    const [size] = told.flatMap(({ aux }) => (aux === undefined ? [] : [Number(aux['Size'])]));
    assert.ok(size !== undefined && size > 0);
    for (const id of shortIds) {
      assert.deepEqual(wordsOf(told, id), ['Preparing', 'Pushing', 'Pushed']);
    }
    assert.deepEqual(wordsOf(told, undefined), [
      `The push refers to repository [${guarded.host}/team/web]`,
      `2: digest: ${digest} size: ${size}`,
      '',
    ]);
    assert.deepEqual(told.at(-1)?.aux, { Tag: '2', Digest: digest, Size: size });
    const image = await node.images.get(target);
    assert.ok(image?.repoDigests.includes(`${guarded.host}/team/web@${digest}`));
    const described = await node.images.distribution(target, { auth: tester });
    assert.equal(described.digest, digest);
    for (const id of shortIds) {
      assert.deepEqual(wordsOf(await push(target, tester), id), [
        'Preparing',
        'Layer already exists',
      ]);
    }
  });

  it('mounts what another repository of the same registry holds', async () => {
    const { shortIds } = await brought('origin');
    const target = `${proxy.host}/copy:1`;
    await node.images.tag(`${proxy.host}/origin:1`, target);
    proxy.requests.length = 0;
    const told = await push(target);
    for (const id of shortIds) {
      assert.deepEqual(wordsOf(told, id), ['Preparing', 'Mounted from origin']);
    }
    const uploads = proxy.requests.filter((line) => /^(PUT|PATCH) .*\/blobs\//.test(line));
    assert.deepEqual(uploads, []);
    await node.images.pull(target);
  });

  it('pushes all tags of a repository where none is named', async () => {
    await brought('many');
    const name = `${guarded.host}/many`;
    for (const tag of ['a', 'b']) await node.images.tag(`${proxy.host}/many:1`, `${name}:${tag}`);
    await push(name, tester);
    const tags = await node.images.tags(name, { auth: tester });
    assert.deepEqual(tags.toSorted(), ['a', 'b']);
  });

  it('keeps an index of which all images are here, and else pushes the one that is', async () => {
    const images = await Promise.all(
      ['amd64', 'arm64'].map(async (architecture) =>
        makeImage([await makeLayer({ 'bin/a': architecture })], { architecture }),
      ),
    );
    const manifests = await Promise.all(
      images.map(async (image, at) => {
        const digest = await pushImage(registry, 'multi', `part${at}`, image);
        const architecture = at === 0 ? 'amd64' : 'arm64';
        const size = JSON.stringify(image.manifest).length;
        const platform = { os: 'linux', architecture };
        return { mediaType: mediaTypes.ociManifest, digest, size, platform };
      }),
    );
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
    const digest = await pushManifest(registry, 'multi', '1', index);
    const [own, foreign] = images;
    const name = `${proxy.host}/multi:1`;
    const target = `${guarded.host}/multi:1`;
    await node.images.pull(name);
    await node.images.tag(name, target);
    await push(target, tester);
    const single = await node.images.distribution(target, { auth: tester });
    assert.equal(single.digest, manifests[0]?.digest);

    await node.images.tag(name, 'kept:1');
    const other = await node.images.pull(name, { platform: 'linux/arm64' });
    assert.equal(other.id, sha256(foreign?.config ?? ''));
    assert.equal(other.platform.architecture, 'arm64');
    assert.equal((await node.images.get('kept:1'))?.id, sha256(own?.config ?? ''));
    await node.images.tag('kept:1', target);
    await node.images.push(target, { auth: tester, platform: 'linux/arm64' });
    const part = await node.images.distribution(target, { auth: tester });
    assert.equal(part.digest, manifests[1]?.digest);
    const absent = node.images.push(target, { auth: tester, platform: 'linux/s390x' });
    await assert.rejects(absent, { code: 'not-found', message: /does not provide the specified/ });
    await push(target, tester);
    const whole = await node.images.distribution(target, { auth: tester });
    assert.equal(whole.digest, digest);
    assert.deepEqual(
      whole.platforms.map(({ architecture }) => architecture),
      ['amd64', 'arm64'],
    );
  });

  it('says what is wrong with a platform', async () => {
    await brought('plain');
    const name = `${proxy.host}/plain:1`;
    const pull = (platform: string) => node.images.pull(name, { platform });
    await assert.rejects(pull('linux/arm64'), {
      code: 'not-found',
      message:
        /its platform \(linux\/amd64\) does not match the specified platform \(linux\/arm64\)/,
    });
    await assert.rejects(pull('linux/a/b/c'), {
      code: 'invalid-argument',
      message: /invalid plat/,
    });
    assert.equal((await pull('amd64')).platform.architecture, 'amd64');
  });

  it('says in Docker’s words what is not there and who may not', async () => {
    await brought('web');
    const name = `${guarded.host}/web`;
    await assert.rejects(push(`${name}:1`), {
      code: 'not-found',
      message: `An image does not exist locally with the tag: ${name}`,
    });
    await node.images.tag(`${proxy.host}/web:1`, `${name}:1`);
    await assert.rejects(push(`${name}:9`), { message: `tag does not exist: ${name}:9` });
    await assert.rejects(push(`${name}:1`), /no basic auth credentials/);
    await assert.rejects(push(`${name}:1`, { username: 'tester', password: 'wrong' }), {
      code: 'unauthenticated',
      message: /^unauthorized: authentication required/,
    });
    await assert.rejects(push(`${name}@${sha256('')}`), { code: 'invalid-argument' });
  });

  it('tries an upload again that broke off', async () => {
    let broken = 0;
    proxy.intercept = (request, response) => {
      if (!/^PUT .*\/blobs\//.test(request) || broken > 0) return false;
      broken += 1;
      response.destroy();
      return true;
    };
    const target = `${proxy.host}/elsewhere:1`;
    const id = await node.images.import(tarball(), { reference: target, changes: [] });
    await push(target);
    assert.equal(broken, 1);
    assert.equal((await node.images.pull(target)).id, id);
  });
});

async function* tarball(): AsyncGenerator<Uint8Array> {
  const { blob } = await makeLayer({ 'bin/only-here': 'x'.repeat(10_000) }, 'none');
  yield blob;
}

describe('push with tokens', () => {
  it('asks for the right to write and to mount, and tells who is denied', async () => {
    await using node = await startNode({ retry: quickRetry });
    await using source = await startRegistry();
    const scopes: string[][] = [];
    const tokens = await startStub(({ query }, response) => {
      scopes.push(query.getAll('scope'));
      response.end(JSON.stringify({ token: 'few-rights' }));
    });
    const answer = ({ headers, method }: StubRequest, response: ServerResponse) => {
      if (headers.authorization === undefined) {
        const challenge = `Bearer realm="${tokens.origin}/token",service="reg"`;
        const header = { 'www-authenticate': challenge };
        return fault(response, 401, 'UNAUTHORIZED', 'authentication required', header);
      }
      if (method === 'HEAD') return void response.writeHead(404).end();
      return fault(response, 403, 'DENIED', 'requested access to the resource is denied');
    };
    const registry = await startStub(answer);
    try {
      const image = makeImage([await makeLayer({ a: '1' })]);
      await pushImage(source, 'web', '1', image);
      await node.images.pull(`${source.host}/web:1`);
      await node.images.tag(`${source.host}/web:1`, `${registry.host}/team/web:1`);
      await assert.rejects(node.images.push(`${registry.host}/team/web:1`), {
        code: 'permission-denied',
        message: 'denied: requested access to the resource is denied',
      });
      assert.deepEqual(scopes, [['repository:team/web:pull,push']]);
    } finally {
      await registry[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
    }
  });
});
