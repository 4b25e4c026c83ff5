import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { sha256, type Descriptor } from '../oci.ts';
import { parseReference } from '../reference.ts';
import { fault, startStub, type StubHandler, type StubRequest } from '../testing/stub.ts';
import { RegistryClient } from './client.ts';

const content = randomBytes(3_000_000);
const blob: Descriptor = { mediaType: 'x', digest: sha256(content), size: content.length };
const attempts = 4;

function client(options: { headerMs?: number; idleMs?: number } = {}): RegistryClient {
  const { headerMs = 5000, idleMs = 5000 } = options;
  return new RegistryClient(
    {
      insecureRegistries: [],
      mirrors: [],
      timeouts: { headerMs, idleMs },
      retry: { attempts, firstDelayMs: 1, maxDelayMs: 4 },
    },
    { clock: realClock, log: silentLogger },
  );
}

async function download(
  handler: StubHandler,
  options: Parameters<typeof client>[0] & { offset?: number; signal?: AbortSignal } = {},
): Promise<{ bytes: Buffer; requests: readonly StubRequest[] }> {
  await using stub = await startStub(handler);
  await using registry = client(options);
  const repository = await registry.repository(parseReference(`${stub.host}/web:1`));
  const parts: Buffer[] = [];
  for await (const part of repository.blob(blob, options)) parts.push(part);
  return { bytes: Buffer.concat(parts), requests: stub.requests };
}

/** Where the request's range starts; 0 without one. */
function from({ headers }: StubRequest): number {
  return Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
}

/** What a right registry answers. */
function serve(request: StubRequest, response: ServerResponse, bytes = content): void {
  const start = from(request);
  response.writeHead(start === 0 ? 200 : 206, {
    'content-length': bytes.length - start,
    ...(start === 0
      ? {}
      : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(bytes.subarray(start));
}

/** Sends some bytes and then breaks the connection, as a crashing registry does. */
function breakAfter(response: ServerResponse, start: number, count: number): void {
  response.writeHead(start === 0 ? 200 : 206, {
    'content-length': content.length - start,
    ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${content.length - 1}/*` }),
  });
  response.write(content.subarray(start, start + count), () => response.destroy());
}

describe('download of a blob', () => {
  it('comes in one request, and from an offset where one is given', async () => {
    const whole = await download(serve);
    assert.ok(whole.bytes.equals(content));
    assert.equal(whole.requests.length, 1);
    const rest = await download(serve, { offset: 1_000_000 });
    assert.ok(rest.bytes.equals(content.subarray(1_000_000)));
  });

  it('goes on where it broke off', async () => {
    let tries = 0;
    const { bytes, requests } = await download((request, response) => {
      tries += 1;
      if (tries === 1) breakAfter(response, 0, 700_000);
      else if (tries === 2) breakAfter(response, from(request), 300_000);
      else serve(request, response);
    });
    assert.ok(bytes.equals(content));
    const starts = requests.filter(({ method }) => method === 'GET').map(from);
    assert.equal(starts.length, 3);
    assert.ok(starts[1]! > 0 && starts[2]! > starts[1]!, `from ${starts.join(', ')}`);
  });

  it('goes on from a registry that knows no ranges', async () => {
    let tries = 0;
    const { bytes } = await download((request, response) => {
      tries += 1;
      if (tries === 1) breakAfter(response, 0, 700_000);
      else serve({ ...request, headers: {} }, response);
    });
    assert.ok(bytes.equals(content));
  });

  it('gives up when nothing comes any more, with the reason', async () => {
    let tries = 0;
    await assert.rejects(
      download((_request, response) => {
        tries += 1;
        breakAfter(response, 0, 100);
      }),
      { code: 'unavailable', message: /^Get "http:\/\/127.0.0.1:\d+\/v2\/web\/blobs\/sha256:/ },
    );
    assert.equal(tries, attempts);
  });

  it('does not give up while a bad line still brings it on', async () => {
    let tries = 0;
    const { bytes } = await download((request, response) => {
      tries += 1;
      const start = from(request);
      if (tries > attempts * 2) serve(request, response);
      else breakAfter(response, start, tries % 3 === 0 ? 10 : 1_100_000);
    });
    assert.ok(bytes.equals(content));
  });

  it('outlasts a silence in the middle', async () => {
    let tries = 0;
    const { bytes } = await download(
      (request, response) => {
        tries += 1;
        if (tries > 1) serve(request, response);
        else {
          response.writeHead(200, { 'content-length': content.length });
          response.write(content.subarray(0, 500_000));
        }
      },
      { idleMs: 50 },
    );
    assert.equal(tries, 2);
    assert.ok(bytes.equals(content));
  });

  it('outlasts overload and internal errors', async () => {
    let tries = 0;
    const { bytes } = await download((request, response) => {
      tries += 1;
      if (tries === 1) fault(response, 503, 'UNAVAILABLE', 'starting');
      else if (tries === 2) fault(response, 429, 'TOOMANYREQUESTS', 'slow down');
      else serve(request, response);
    });
    assert.ok(bytes.equals(content));
  });

  const wrong: readonly { name: string; handler: StubHandler; message: RegExp }[] = [
    {
      name: 'other bytes than the digest names',
      handler: (request, response) => serve(request, response, Buffer.alloc(content.length, 'x')),
      message: /^filesystem layer verification failed for digest sha256:/,
    },
    {
      name: 'more bytes than announced',
      handler: (request, response) => serve(request, response, Buffer.concat([content, content])),
      message: /is longer than the 3000000 bytes announced/,
    },
    {
      name: 'another part than was asked for',
      handler: (request, response) =>
        from(request) === 0
          ? breakAfter(response, 0, 700_000)
          : serve({ ...request, headers: { range: 'bytes=2999999-' } }, response),
      message: /the registry sent another part of sha256:/,
    },
    {
      name: 'a redirect in a circle',
      handler: (_request, response) => response.writeHead(307, { location: '?again' }).end(),
      message: /the registry redirects too often/,
    },
  ];
  for (const { name, handler, message } of wrong) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(download(handler), { code: 'failed-precondition', message });
    });
  }

  it('follows a redirect to another host without showing its credentials there', async () => {
    await using store = await startStub(serve);
    await using stub = await startStub(({ headers }, response) => {
      if (headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      } else response.writeHead(307, { location: `${store.origin}/elsewhere?signature=s` }).end();
    });
    await using registry = client();
    const auth = { username: 'u', password: 'p' };
    const repository = await registry.repository(parseReference(`${stub.host}/web:1`), auth);
    let size = 0;
    for await (const part of repository.blob(blob)) size += part.length;
    assert.equal(size, content.length);
    assert.equal(stub.requests.at(-1)?.headers.authorization, `Basic ${btoa('u:p')}`);
    assert.deepEqual(
      store.requests.map(({ path, headers }) => [path, headers.authorization]),
      [['/elsewhere', undefined]],
    );
  });

  it('stops at once when aborted, and closes the connection', async () => {
    const controller = new AbortController();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    await assert.rejects(
      download(
        (_request, response) => {
          response.writeHead(200, { 'content-length': content.length });
          response.write(content.subarray(0, 100_000), () => controller.abort(new Error('enough')));
          void once(response, 'close').then(() => resolve());
        },
        { signal: controller.signal },
      ),
      /^Error: enough$/,
    );
    await closed;
  });
});
