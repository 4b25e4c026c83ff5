import { strict as assert } from 'node:assert';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SwarmError } from '../../lib/errors.ts';
import { readCounter } from './page.ts';

const counter = 'served';
const netnsPath = '/proc/self/ns/net';

/** Reads the counter from a server that answers so. */
async function read(
  answer: RequestListener,
  { host = '127.0.0.1', path = '/metrics', signal = new AbortController().signal } = {},
): Promise<number> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => void server.listen(0, host, resolve));
  try {
    const { port } = server.address() as AddressInfo;
    return await readCounter({ netnsPath, port, path, counter }, { signal });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('a page of metrics', () => {
  it('is asked for as it was named, as plain text', async () => {
    const seen: unknown[] = [];
    const found = await read(
      ({ url, headers }, response) => {
        seen.push(url, headers.accept, headers['accept-encoding']);
        response.end('served{a="b"} 41\nserved 1\n');
      },
      { path: '/stats?all=1' },
    );
    assert.equal(found, 42);
    assert.deepEqual(seen, ['/stats?all=1', 'text/plain;version=0.0.4', 'identity']);
  });

  it('may be there in IPv6 alone', async () => {
    assert.equal(await read((_, response) => response.end('served 5\n'), { host: '::1' }), 5);
  });

  it('is read piece by piece, as long as it is no longer than 4 MiB', async () => {
    const filler = `${'# filler'.repeat(128)}\n`;
    const long = (count: number): RequestListener => {
      return (_, response) => response.end(`${filler.repeat(count)}served 7\n`);
    };
    assert.equal(await read(long(3_000)), 7);
    await assert.rejects(read(long(5_000)), { message: '/metrics is longer than 4 MiB' });
  });

  const bad: { name: string; answer: RequestListener; expect: RegExp }[] = [
    {
      name: 'is elsewhere',
      answer: (_, response) => response.writeHead(302, { location: '/other' }).end(),
      expect: /^\/metrics answers HTTP 302$/,
    },
    {
      name: 'is not there',
      answer: (_, response) => response.writeHead(404).end('served 4\n'),
      expect: /^\/metrics answers HTTP 404$/,
    },
    {
      name: 'has no such counter',
      answer: (_, response) => response.end('other 4\n'),
      expect: /^\/metrics has no counter served$/,
    },
    {
      name: 'breaks off',
      answer: (_, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('served 4\n', () => response.destroy());
      },
      expect: /^\/metrics cannot be read: /,
    },
  ];
  for (const { name, answer, expect } of bad) {
    it(`is refused where it ${name}`, async () => {
      await assert.rejects(read(answer), { message: expect });
    });
  }

  it('is given up once it takes too long, with the reason for that', async () => {
    const late = new AbortController();
    const reason = new SwarmError('deadline-exceeded', 'too late');
    const answer: RequestListener = (_, response) => {
      response.write('served 4\n');
      late.abort(reason);
    };
    await assert.rejects(read(answer, { signal: late.signal }), reason);
    await assert.rejects(read(answer, { signal: late.signal }), reason);
  });

  it('is not there where nobody listens', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => void server.close(resolve));
    const { signal } = new AbortController();
    await assert.rejects(readCounter({ netnsPath, port, path: '/', counter }, { signal }), {
      message: `nothing listens on port ${port} of its loopback address`,
    });
  });
});
