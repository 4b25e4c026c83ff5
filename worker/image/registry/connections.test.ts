/** Connections to a registry that die without a word, as after a cut of the link. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { parseReference } from '../reference.ts';
import { RegistryClient } from './client.ts';

const body = JSON.stringify({ schemaVersion: 2, manifests: [] });
const answer =
  'HTTP/1.1 200 OK\r\ncontent-type: application/vnd.oci.image.index.v1+json\r\n' +
  `content-length: ${body.length}\r\n\r\n${body}`;

/** What a connection does with its n-th request, from 1. */
type Manner = (request: number, socket: Socket) => void;

const answers: Manner = (_, socket) => void socket.write(answer);
/** As after a cut: the registry does not hear this connection any more. */
const diesAfterFirst: Manner = (request, socket) => {
  if (request === 1) socket.write(answer);
};
const isReset: Manner = (request, socket) => {
  if (request === 1) socket.write(answer);
  else socket.resetAndDestroy();
};
const isSilent: Manner = () => undefined;

/** A TCP server whose connections behave as told, the last manner going for all that follow. */
async function startServer(...manners: readonly Manner[]) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const manner = manners[Math.min(sockets.length, manners.length - 1)];
    sockets.push(socket);
    let requests = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', () => manner?.(++requests, socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** How many connections there were. */
    count: () => sockets.length,
    open: () => sockets.filter(({ destroyed }) => !destroyed).length,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function client(againMs: readonly number[] = [60, 120], headerMs = 60_000): RegistryClient {
  return new RegistryClient(
    {
      insecureRegistries: [],
      mirrors: [],
      timeouts: { headerMs, idleMs: 60_000, againMs },
      retry: { attempts: 1, firstDelayMs: 1, maxDelayMs: 1 },
    },
    { clock: realClock, log: silentLogger },
  );
}

const plainHttp = 1;

describe('connections to a registry', () => {
  // The first one is for TLS, which loopback need not have: the server hangs up on it.
  const noTls: Manner = (_, socket) => socket.destroy();

  it('are used again', async () => {
    await using server = await startServer(noTls, answers);
    await using registry = client([60_000]);
    const repository = await registry.repository(parseReference(`${server.host}/web`));
    for (let time = 0; time < 3; time++) await repository.manifest();
    assert.equal(server.count() - plainHttp, 1);
  });

  it('that died while they were idle cost a moment, and no failure', async () => {
    await using server = await startServer(noTls, diesAfterFirst, answers);
    await using registry = client();
    const repository = await registry.repository(parseReference(`${server.host}/web`));
    await repository.manifest();
    // With nothing but the wait for an answer it would fail. A machine that is slow asks once more.
    await repository.manifest();
    assert.ok(server.count() - plainHttp >= 2);
  });

  it('that the registry has closed meanwhile cost nothing', async () => {
    await using server = await startServer(noTls, isReset, answers);
    await using registry = client([]);
    const repository = await registry.repository(parseReference(`${server.host}/web`));
    await repository.manifest();
    await repository.manifest();
    assert.equal(server.count() - plainHttp, 2);
  });

  it('are tried anew as often as it takes, and those given up are closed', async () => {
    await using server = await startServer(noTls, isSilent, isSilent, answers);
    await using registry = client();
    const repository = await registry.repository(parseReference(`${server.host}/web`));
    await repository.manifest();
    assert.equal(server.count() - plainHttp, 3);
    while (server.open() > 0) await new Promise(setImmediate);
  });

  it('are given up for good in the end, in Docker’s words', async () => {
    await using server = await startServer(noTls, isSilent);
    await using registry = client([20, 40], 200);
    const repository = await registry.repository(parseReference(`${server.host}/web`));
    await assert.rejects(repository.manifest(), {
      code: 'unavailable',
      message: /timeout awaiting response headers$/,
    });
    while (server.open() > 0) await new Promise(setImmediate);
  });

  it('end at once with the one who asked', async () => {
    await using server = await startServer(noTls, isSilent);
    await using registry = client([20]);
    const repository = await registry.repository(parseReference(`${server.host}/web`));
    const asking = new AbortController();
    const manifest = repository.manifest(undefined, asking.signal);
    while (server.count() < 3) await new Promise(setImmediate);
    asking.abort(new Error('nobody wants it'));
    await assert.rejects(manifest, { message: 'nobody wants it' });
    while (server.open() > 0) await new Promise(setImmediate);
  });
});
