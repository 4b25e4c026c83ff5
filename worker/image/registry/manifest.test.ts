import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import type { RegistryAuth } from '../images.ts';
import { parseManifest, sha256 } from '../oci.ts';
import { parseReference } from '../reference.ts';
import { makeImage, makeLayer, pushImage } from '../testing/image.ts';
import {
  freePort,
  startRegistry,
  testerHtpasswd,
  testerPassword,
  type TestRegistry,
} from '../testing/registry.ts';
import { fault, startStub, type StubHandler } from '../testing/stub.ts';
import { RegistryClient, type RegistryOptions } from './client.ts';

function client(options: Partial<RegistryOptions> = {}): RegistryClient {
  return new RegistryClient(
    {
      insecureRegistries: [],
      mirrors: [],
      retry: { attempts: 3, firstDelayMs: 1, maxDelayMs: 4 },
      ...options,
    },
    { clock: realClock, log: silentLogger },
  );
}

async function manifest(
  name: string,
  options: Partial<RegistryOptions> & { auth?: RegistryAuth } = {},
) {
  await using registry = client(options);
  const repository = await registry.repository(parseReference(name), options.auth);
  // Awaited here: the connections end with the client.
  return await repository.manifest();
}

const body = JSON.stringify({ schemaVersion: 2, manifests: [] });

describe('manifests from a registry that misbehaves', () => {
  const answers: readonly {
    name: string;
    handler: StubHandler;
    reference?: string;
    expect: { code: string; message: RegExp };
    tries?: number;
  }[] = [
    {
      name: 'an unknown tag',
      handler: (_, response) => fault(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown'),
      expect: {
        code: 'not-found',
        message: /^manifest for HOST\/web:1 not found: manifest unknown: manifest unknown$/,
      },
    },
    {
      name: 'an unknown repository',
      handler: (_, response) => fault(response, 404, 'NAME_UNKNOWN', 'repository name not known'),
      expect: {
        code: 'not-found',
        message: /^repository HOST\/web not found: name unknown: repository name not known$/,
      },
    },
    {
      name: 'a page that is not from a registry',
      handler: (_, response) => response.writeHead(404).end('<html>nginx</html>'),
      expect: { code: 'not-found', message: /^manifest for HOST\/web:1 not found: manifest unkn/ },
    },
    {
      name: 'a denial',
      handler: (_, response) => fault(response, 403, 'DENIED', 'requested access is denied'),
      expect: {
        code: 'permission-denied',
        message:
          /^pull access denied for HOST\/web, repository does not exist or may require 'docker login': denied: requested access is denied$/,
      },
    },
    {
      name: 'a wish for credentials that we do not have',
      handler: (_, response) =>
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end(),
      expect: { code: 'unauthenticated', message: /: no basic auth credentials$/ },
    },
    {
      name: 'a wish that we do not understand',
      handler: (_, response) => response.writeHead(401, { 'www-authenticate': 'Negotiate' }).end(),
      expect: { code: 'unauthenticated', message: /unauthorized: authentication required$/ },
    },
    {
      name: 'too many requests',
      handler: (_, response) => fault(response, 429, 'TOOMANYREQUESTS', 'rate limit'),
      expect: { code: 'unavailable', message: /: toomanyrequests: rate limit$/ },
      tries: 3,
    },
    {
      name: 'errors of its own',
      handler: (_, response) => response.writeHead(502).end('<html>'),
      expect: { code: 'unavailable', message: /: received unexpected HTTP status 502$/ },
      tries: 3,
    },
    {
      name: 'a teapot',
      handler: (_, response) => response.writeHead(418).end('short\nand stout'),
      expect: { code: 'failed-precondition', message: /HTTP status 418: short and stout$/ },
    },
    {
      name: 'a manifest other than its digest says',
      handler: (_, response) => response.end(body),
      reference: `@${sha256('other')}`,
      expect: { code: 'failed-precondition', message: /^manifest verification failed for digest/ },
    },
    {
      name: 'a manifest without end',
      handler: (_, response) => response.end(Buffer.alloc(5 * 1024 * 1024)),
      expect: { code: 'failed-precondition', message: /the response is longer than 4194304 bytes/ },
    },
    {
      name: 'a closed connection',
      handler: (_, response) => response.destroy(),
      expect: {
        code: 'unavailable',
        message: /^Get "http:\/\/HOST\/v2\/web\/manifests\/1": connection reset by peer$/,
      },
      tries: 3,
    },
  ];
  for (const { name, handler, reference = ':1', expect, tries = 1 } of answers) {
    it(`tells of ${name}`, async () => {
      await using stub = await startStub(handler);
      const message = new RegExp(expect.message.source.replaceAll('HOST', stub.host));
      const given = `${stub.host}/web${reference}`;
      await assert.rejects(manifest(given), { code: expect.code, message });
      assert.equal(stub.requests.length, tries);
    });
  }

  it('tries again after trouble that passes', async () => {
    let tries = 0;
    await using stub = await startStub((_, response) => {
      tries += 1;
      if (tries === 1) response.destroy();
      else if (tries === 2) response.writeHead(503).end();
      else response.end(body);
    });
    const { descriptor } = await manifest(`${stub.host}/web:1`);
    assert.equal(descriptor.digest, sha256(body));
  });

  it('does not wait for ever for an answer', async () => {
    await using stub = await startStub(() => undefined);
    await assert.rejects(manifest(`${stub.host}/web`, { timeouts: { headerMs: 30, idleMs: 30 } }), {
      code: 'unavailable',
      message: /timeout awaiting response headers$/,
    });
    assert.equal(stub.requests.length, 3);
  });

  it('says when nobody listens, or the name is unknown', async () => {
    const port = await freePort();
    await assert.rejects(manifest(`127.0.0.1:${port}/web`), {
      code: 'unavailable',
      message: `Get "http://127.0.0.1:${port}/v2/web/manifests/latest": dial tcp 127.0.0.1:${port}: connect: connection refused`,
    });
    await assert.rejects(manifest('registry.invalid/web'), {
      code: 'unavailable',
      message:
        /^Get "https:\/\/registry.invalid\/v2\/web\/manifests\/latest": dial tcp: lookup reg/,
    });
    await assert.rejects(manifest('127.0.0.1:99999/web'), {
      code: 'invalid-argument',
      message: /is no address of a registry/,
    });
  });

  it('asks the next mirror for what one does not have', async () => {
    await using mirror = await startStub((_, response) => fault(response, 404, 'NAME_UNKNOWN', ''));
    await using second = await startStub((_, response) => response.end(body));
    const mirrors = [mirror.origin, second.origin];
    const { descriptor } = await manifest('busybox', { mirrors });
    assert.equal(descriptor.digest, sha256(body));
    assert.equal(mirror.requests[0]?.path, '/v2/library/busybox/manifests/latest');
  });

  it('does not show credentials to mirrors', async () => {
    await using mirror = await startStub(({ headers }, response) => {
      if (headers.authorization === undefined) response.end(body);
      else fault(response, 500, 'SEEN', 'credentials');
    });
    await manifest('busybox', { mirrors: [mirror.origin], auth: { username: 'u', password: 'p' } });
  });

  it('refuses the retired schema 1 in a sentence', () => {
    const old = Buffer.from(JSON.stringify({ schemaVersion: 1, fsLayers: [] }));
    assert.throws(() => parseManifest(old), {
      code: 'failed-precondition',
      message: /retired manifest format of schema version 1; push it again/,
    });
  });
});

describe('manifests from a real registry', () => {
  let folder: string;
  const certificate = () => ({
    certPath: join(folder, 'cert.pem'),
    keyPath: join(folder, 'key.pem'),
  });

  before(async () => {
    folder = await mkdtemp('/tmp/images-certs-');
    const { certPath, keyPath } = certificate();
    const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const files = ['-keyout', keyPath, '-out', certPath, '-days', '2'];
    await promisify(execFile)('openssl', ['req', ...kind, ...subject, ...files]);
  });
  after(() => rm(folder, { recursive: true }));

  async function push(registry: TestRegistry, headers: Record<string, string> = {}) {
    return pushImage(registry, 'web', '1', makeImage([await makeLayer({ a: 'a' })]), headers);
  }

  it('asks by tag and by digest', async () => {
    await using registry = await startRegistry();
    const digest = await push(registry);
    for (const suffix of [':1', `@${digest}`]) {
      const { descriptor, bytes } = await manifest(`${registry.host}/web${suffix}`);
      assert.equal(descriptor.digest, digest);
      assert.equal(parseManifest(bytes, descriptor.mediaType).kind, 'manifest');
    }
    await using asked = client();
    const repository = await asked.repository(parseReference(`${registry.host}/web:1`));
    assert.equal((await repository.head())?.digest, digest);
    await assert.rejects(manifest(`${registry.host}/web:2`), {
      code: 'not-found',
      message: `manifest for ${registry.host}/web:2 not found: manifest unknown: manifest unknown`,
    });
  });

  it('shows basic credentials', async () => {
    await using registry = await startRegistry({ htpasswd: testerHtpasswd });
    const headers = { authorization: `Basic ${btoa(`tester:${testerPassword}`)}` };
    const digest = await push(registry, headers);
    const name = `${registry.host}/web:1`;
    const auth = { username: 'tester', password: testerPassword };
    assert.equal((await manifest(name, { auth })).descriptor.digest, digest);
    await assert.rejects(manifest(name), {
      code: 'unauthenticated',
      message: /no basic auth credentials$/,
    });
    await assert.rejects(manifest(name, { auth: { ...auth, password: 'wrong' } }), {
      code: 'unauthenticated',
      message: /'docker login': unauthorized: authentication required$/,
    });
  });

  it('speaks TLS: without proof where that is allowed, else with a trusted certificate', async () => {
    const secure = await startRegistry({ tls: certificate() });
    await using registry = secure;
    const port = registry.host.split(':')[1] ?? '';
    const name = `localhost:${port}/web:1`;
    await using asked = client();
    // The push helper would not trust the certificate: what is unknown is proof enough of TLS.
    await assert.rejects(
      asked.repository(parseReference(name)).then((repository) => repository.manifest()),
      { code: 'not-found' },
    );
    const notLoopback = { lookup: () => Promise.resolve([]) };
    await assert.rejects(manifest(name, notLoopback), {
      code: 'unavailable',
      message:
        /x509: certificate signed by unknown authority; .* --insecure-registry localhost:\d+$/,
    });
    await mkdir(join(folder, `localhost:${port}`));
    await copyFile(certificate().certPath, join(folder, `localhost:${port}`, 'ca.crt'));
    await assert.rejects(manifest(name, { ...notLoopback, certsFolder: folder }), {
      code: 'not-found',
    });
  });

  it('does not speak HTTP where that is not allowed', async () => {
    await using registry = await startRegistry();
    await push(registry);
    const name = `localhost:${registry.host.split(':')[1]}/web:1`;
    await assert.rejects(manifest(name, { lookup: () => Promise.resolve([]) }), {
      code: 'unavailable',
      message:
        /http: server gave HTTP response to HTTPS client; .*--insecure-registry localhost:\d+$/,
    });
    assert.equal((await manifest(name)).descriptor.size > 0, true);
  });
});
