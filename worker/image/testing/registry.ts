/** Debian's docker-registry on a loopback port of the tests' own, with what a push to it needs. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { realClock } from '../../../lib/clock.ts';

export interface TestRegistry extends AsyncDisposable {
  /** "127.0.0.1:41234" */
  readonly host: string;
  readonly origin: string;
  readonly folder: string;
}

interface TestRegistryOptions {
  /** Lines of an htpasswd file: only bcrypt is understood. */
  readonly htpasswd?: string;
  readonly tls?: { readonly certPath: string; readonly keyPath: string };
  readonly port?: number;
}

/** "secret" of "tester", bcrypt. */
export const testerPassword = 'secret';
export const testerHtpasswd =
  'tester:$2b$04$O8B7RZnpVWLOwT/9i542feXOxM0219Vd2a/SHxJSI6aXkHLiTH5AW\n';

const startTimeoutMs = 15_000;

export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const folder = await mkdtemp('/tmp/images-registry-');
  const port = options.port ?? (await freePort());
  const host = `127.0.0.1:${port}`;
  const htpasswdPath = join(folder, 'htpasswd');
  const { htpasswd, tls } = options;
  if (htpasswd !== undefined) await writeFile(htpasswdPath, htpasswd);
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: {
      addr: host,
      ...(tls === undefined ? {} : { tls: { certificate: tls.certPath, key: tls.keyPath } }),
    },
    ...(htpasswd === undefined
      ? {}
      : { auth: { htpasswd: { realm: 'test', path: htpasswdPath } } }),
  };
  // JSON is YAML.
  const configPath = join(folder, 'config.yml');
  await writeFile(configPath, JSON.stringify(config));
  const logPath = join(folder, 'log');
  const child = spawn(
    'sh',
    ['-c', 'exec docker-registry serve "$1" >"$2" 2>&1', 'sh', configPath, logPath],
    { stdio: 'ignore' },
  );
  const exited = once(child, 'exit');
  const deadlineMs = realClock.monotonicMs() + startTimeoutMs;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || realClock.monotonicMs() > deadlineMs) {
      throw new Error(`docker-registry did not start: ${await readFile(logPath, 'utf8')}`);
    }
    await realClock.sleep(30);
  }
  return {
    host,
    origin: `${tls === undefined ? 'http' : 'https'}://${host}`,
    folder,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function accepts(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    await answer.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

type Headers = Readonly<Record<string, string>>;

/** Puts a blob in one request; returns its digest. */
export async function pushBlob(
  registry: { origin: string },
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  headers: Headers = {},
): Promise<string> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const start = await fetch(`${registry.origin}/v2/${name}/blobs/uploads/`, {
    method: 'POST',
    headers,
  });
  await start.arrayBuffer();
  const location = new URL(start.headers.get('location') ?? '', registry.origin);
  location.searchParams.set('digest', digest);
  const put = await fetch(location, {
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/octet-stream' },
    body: bytes,
  });
  if (put.status !== 201) throw new Error(`push of ${digest}: ${put.status} ${await put.text()}`);
  await put.arrayBuffer();
  return digest;
}

/** Puts a manifest under a tag or digest; returns its digest. */
export async function pushManifest(
  registry: { origin: string },
  name: string,
  tag: string,
  manifest: { mediaType: string },
  headers: Headers = {},
): Promise<string> {
  const body = JSON.stringify(manifest);
  const put = await fetch(`${registry.origin}/v2/${name}/manifests/${tag}`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': manifest.mediaType },
    body,
  });
  if (put.status !== 201) throw new Error(`push of ${tag}: ${put.status} ${await put.text()}`);
  await put.arrayBuffer();
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}
