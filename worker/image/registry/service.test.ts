import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { makeLayer } from '../testing/image.ts';
import { startNode } from '../testing/node.ts';
import {
  freePort,
  startRegistry,
  testerHtpasswd,
  testerPassword,
  type TestRegistry,
} from '../testing/registry.ts';
import { startStub } from '../testing/stub.ts';
import { RegistryClient } from './client.ts';

const tester = { username: 'tester', password: testerPassword };

describe('a registry with TLS and a password', () => {
  let folder: string;
  let registry: TestRegistry;
  /** A name that is not loopback to us: only a proof of who it is lets us in. */
  const strict = { lookup: async () => ['192.0.2.1'] };

  before(async () => {
    folder = await mkdtemp('/tmp/images-tls-');
    const [certPath, keyPath] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const files = ['-days', '2', '-keyout', keyPath, '-out', certPath];
    await promisify(execFile)('openssl', [...kind, ...subject, ...files]);
    const port = await freePort();
    registry = await startRegistry({
      htpasswd: testerHtpasswd,
      tls: { certPath, keyPath },
      port,
    });
    const trusted = join(folder, 'certs.d', `localhost:${port}`);
    await mkdir(trusted, { recursive: true });
    await copyFile(certPath, join(trusted, 'ca.crt'));
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const nameOf = () => registry.host.replace('127.0.0.1', 'localhost');
  function client(certsFolder?: string): RegistryClient {
    return new RegistryClient(
      {
        ...strict,
        insecureRegistries: [],
        mirrors: [],
        retry: { attempts: 1, firstDelayMs: 1, maxDelayMs: 1 },
        ...(certsFolder === undefined ? {} : { certsFolder }),
      },
      { clock: realClock, log: silentLogger },
    );
  }

  it('lets in who knows the password, and nobody else', async () => {
    await using known = client(join(folder, 'certs.d'));
    await known.login(nameOf(), tester);
    await assert.rejects(known.login(nameOf(), { ...tester, password: 'wrong' }), {
      code: 'unauthenticated',
      message: /^Get "https:\/\/localhost:\d+\/v2\/": unauthorized: /,
    });
    await assert.rejects(known.login(nameOf(), {}), { code: 'unauthenticated' });
  });

  it('is not spoken to where its authority is not known', async () => {
    await using stranger = client();
    await assert.rejects(stranger.login(nameOf(), tester), {
      code: 'unavailable',
      message: /certificate signed by unknown authority/,
    });
  });

  it('takes a push and gives it back', async () => {
    await using node = await startNode({ ...strict, certsFolder: join(folder, 'certs.d') });
    const { blob } = await makeLayer({ 'bin/a': 'x'.repeat(100_000) }, 'none');
    const name = `${nameOf()}/team/web:1`;
    const tarball = async function* tarball(): AsyncGenerator<Uint8Array> {
      yield blob;
    };
    const id = await node.images.import(tarball(), { reference: name, changes: [] });
    await assert.rejects(node.images.push(name), { code: 'unauthenticated' });
    await node.images.push(name, { auth: tester });
    await node.images.remove(id, { force: true, inUse: () => undefined });
    assert.equal((await node.images.pull(name, { auth: tester })).id, id);
  });
});

describe('searching a registry', () => {
  const results = [
    { name: 'web', description: 'x', star_count: 3, is_official: true, is_automated: false },
    { name: 'odd', description: 7, star_count: 'many' },
    'garbage',
  ];
  async function search(limit: number, answer: (path: string) => string | undefined) {
    await using registry = await startStub(({ path }, response) => {
      const body = answer(path);
      response.writeHead(body === undefined ? 404 : 200).end(body ?? '404 page not found');
    });
    await using client = new RegistryClient(
      { insecureRegistries: [], mirrors: [] },
      { clock: realClock, log: silentLogger },
    );
    const found = await client.search(registry.host, { term: 'we', limit }, undefined);
    return {
      found,
      asked: registry.requests.map(({ path, query }) => `${path}?${query.toString()}`),
    };
  }
  const answers = (path: string) =>
    path === '/v1/search' ? JSON.stringify({ results }) : undefined;

  it('asks for what is searched, and reads what can be read', async () => {
    const { asked, found } = await search(5, answers);
    assert.deepEqual(asked, ['/v1/search?q=we&n=5']);
    assert.deepEqual(found, [
      { name: 'web', description: 'x', stars: 3, isOfficial: true, isAutomated: false },
      { name: 'odd', description: '', stars: 0, isOfficial: false, isAutomated: false },
    ]);
    assert.equal((await search(1, answers)).found.length, 1);
  });

  it('says where there is no search', async () => {
    await assert.rejects(
      search(5, () => undefined),
      {
        code: 'not-found',
        message: /cannot be searched: it offers no \/v1\/search/,
      },
    );
    await assert.rejects(
      search(5, () => '<html>'),
      { code: 'failed-precondition' },
    );
  });
});
