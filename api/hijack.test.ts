import { strict as assert } from 'node:assert';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { WebSocket } from 'ws';
import { VirtualClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { stallMs, writeTo } from './hijack.ts';
import { createApiServer, type ApiServer } from './server.ts';
import { FakeBackend, testImage } from './testing.ts';

describe('connections that stop being HTTP', () => {
  let backend: FakeBackend;
  let server: ApiServer;
  let path: string;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-hijack-'));
    path = join(folder, 'docker.sock');
    backend = new FakeBackend();
    server = createApiServer({ backend, log: silentLogger, clock: backend.clock });
    await backend.containers.open();
    await server.listen({ unixSocket: path });
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    await backend.containers[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
    rmSync(backend.made.dataRoot, { recursive: true, force: true });
  });

  const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
  const request = (line: string, headers = '', body = '') =>
    `${line} HTTP/1.1\r\nHost: docker\r\n${headers}` +
    (body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`) +
    `\r\n${body}`;

  async function open(text: string): Promise<Socket> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  }

  async function readAll(socket: Socket): Promise<string> {
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part as Buffer);
    socket.destroy();
    return Buffer.concat(parts).toString('latin1');
  }

  async function running(json: object = {}): Promise<string> {
    const body = JSON.stringify({ Image: testImage.repoTags[0], ...json });
    const socket = await open(
      request('POST /containers/create?name=web', 'Connection: close\r\n', body),
    );
    assert.match(await readAll(socket), /^HTTP\/1\.1 201 /);
    const { own } = await backend.containers.find('web');
    await own?.start();
    return own?.id ?? '';
  }

  it('carry what is typed, and what is written, until the container ends', async () => {
    const id = await running({ OpenStdin: true, StdinOnce: true });
    const input = () => backend.made.runtime.io.input.map((text) => text.slice(id.length + 1));
    const line = 'POST /v1.50/containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1';
    const socket = await open(`${request(line, upgrade)}early `);
    socket.end('late');
    const turnsMax = 2_000_000;
    for (let turns = 0; turns < turnsMax && input().at(-1) !== 'end'; turns++) await turn();
    backend.made.runtime.write(id, 'stderr', 'said');
    backend.made.runtime.exit(id, 0);
    const answer = await readAll(socket);
    assert.match(answer, /^HTTP\/1\.1 101 UPGRADED\r\n/);
    assert.match(answer, /application\/vnd\.docker\.multiplexed-stream/);
    assert.ok(answer.endsWith('\x02\x00\x00\x00\x00\x00\x00\x04said'));
    assert.equal(input().join(''), 'early lateend');
  });

  it('are left at the detach keys of a terminal, and what runs there runs on', async () => {
    const id = await running({ OpenStdin: true, Tty: true });
    const events: string[] = [];
    using _ = backend.containers.events.listen(({ action }) => events.push(action));
    const line = 'POST /v1.50/containers/web/attach?stream=1&stdin=1&stdout=1';
    const socket = await open(request(`${line}&detachKeys=ctrl-a,x`, upgrade));
    socket.write('typed\x01y\x10\x11\x01xnever');
    assert.match(await readAll(socket), /^HTTP\/1\.1 101 [^]*\r\n\r\n$/);
    const input = backend.made.runtime.io.input.map((text) => text.slice(id.length + 1));
    assert.equal(input.join(''), 'typed\x01y\x10\x11');
    assert.deepEqual(events, ['attach', 'detach']);
    const { view } = await backend.containers.find('web');
    assert.equal(view.state.status, 'running');
  });

  it('are left at no keys where there is no terminal, and at none that are no keys', async () => {
    const id = await running({ OpenStdin: true, StdinOnce: true });
    const line = 'POST /v1.50/containers/web/attach?stream=1&stdin=1&stdout=1';
    const refused = await readAll(await open(request(`${line}&detachKeys=ctrl-1`, upgrade)));
    assert.match(refused, /^HTTP\/1\.1 400 [^]*Invalid detach keys \(ctrl-1\) provided/);
    const socket = await open(request(line, upgrade));
    socket.end('\x10\x11');
    const input = () => backend.made.runtime.io.input.map((text) => text.slice(id.length + 1));
    const turnsMax = 2_000_000;
    for (let turns = 0; turns < turnsMax && input().at(-1) !== 'end'; turns++) await turn();
    backend.made.runtime.exit(id, 0);
    await readAll(socket);
    assert.equal(input().join(''), '\x10\x11end');
  });

  it('are frames of WebSocket for those who ask for them', async () => {
    const id = await running({ OpenStdin: true, StdinOnce: true });
    const client = new WebSocket(
      `ws+unix:${path}:/v1.50/containers/web/attach/ws?stream=1&stdin=1&stderr=1`,
    );
    const frames: [text: string, isBinary: boolean][] = [];
    client.on('message', (data: Buffer, isBinary) => frames.push([data.toString(), isBinary]));
    await once(client, 'open');
    client.send('typed');
    const input = () => backend.made.runtime.io.input.join('');
    const turnsMax = 2_000_000;
    for (let turns = 0; turns < turnsMax && !input().includes('typed'); turns++) await turn();
    backend.made.runtime.write(id, 'stderr', 'said');
    backend.made.runtime.exit(id, 0);
    const [code] = (await once(client, 'close')) as [number];
    assert.deepEqual(frames, [['said', true]]);
    assert.equal(code, 1000);
    assert.match(input(), /typed/);
  });

  it('are frames of text for clients of before 1.28, of all streams', async () => {
    const id = await running();
    const client = new WebSocket(`ws+unix:${path}:/v1.27/containers/web/attach/ws?stream=1`);
    const frames: [text: string, isBinary: boolean][] = [];
    client.on('message', (data: Buffer, isBinary) => frames.push([data.toString(), isBinary]));
    await once(client, 'open');
    backend.made.runtime.write(id, 'stdout', 'said');
    backend.made.runtime.exit(id, 0);
    await once(client, 'close');
    assert.deepEqual(frames, [['said', false]]);
  });

  it('are refused to pages of other sites', async () => {
    await running();
    const url = `ws+unix:${path}:/containers/web/attach/ws?stream=1`;
    const client = new WebSocket(url, { origin: 'https://elsewhere.example' });
    const [, response] = (await once(client, 'unexpected-response')) as [
      unknown,
      { statusCode: number },
    ];
    assert.equal(response.statusCode, 403);
    client.on('error', () => undefined);
    client.terminate();
  });

  it('are refused where the handshake is none', async () => {
    await running();
    const line = 'GET /v1.50/containers/web/attach/ws?stream=1';
    const answer = await readAll(await open(request(line, 'Connection: close\r\n')));
    assert.match(answer, /^HTTP\/1\.1 400 [^]*not websocket protocol/);
  });

  it('are plain streams for those who ask for no upgrade, and for terminals', async () => {
    const id = await running({ Tty: true });
    const socket = await open(request('POST /v1.50/containers/web/attach?stream=1&stdout=1'));
    await once(socket, 'readable');
    backend.made.runtime.write(id, 'stdout', 'said');
    backend.made.runtime.exit(id, 0);
    const answer = await readAll(socket);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.ok(answer.endsWith('\r\n\r\nsaid'));
  });

  it('read the request’s own body, also when it comes late', async () => {
    await running();
    backend.made.runtime.onExec = () => ({ exitCode: 0, output: 'out' });
    const { view } = await backend.containers.find('web');
    const document = { attachStdin: false, attachStdout: true, attachStderr: true };
    const rest = { detachKeys: '', env: [], privileged: false, user: '', workingDir: '' };
    const id = backend.containers.execs.create(view, {
      ...document,
      ...rest,
      tty: true,
      cmd: ['ls'],
    });
    const whole = request(`POST /exec/${id}/start`, upgrade, '{"Detach":false,"Tty":true}');
    const socket = await open(whole.slice(0, -10));
    await turn();
    socket.write(whole.slice(-10));
    assert.match(await readAll(socket), /\r\n\r\nout$/);
  });

  it('stay HTTP where nothing is to be hijacked', async () => {
    const socket = await open(request('POST /grpc', upgrade.replace('tcp', 'h2c')));
    assert.match(await readAll(socket), /^HTTP\/1\.1 501 .*has no BuildKit that buildx could/s);
    const missing = await open(request('POST /containers/nope/attach', upgrade));
    assert.match(await readAll(missing), /^HTTP\/1\.1 404 .*No such container: nope/s);
  });

  it('are cut when their reader takes nothing for long, with little kept for it', async () => {
    const clock = new VirtualClock();
    const stream = new PassThrough({ highWaterMark: 10 });
    await writeTo(stream, 'little', clock);
    const stuck = writeTo(stream, 'more than there is room for', clock);
    clock.advance(stallMs - 1);
    assert.equal(stream.destroyed, false);
    clock.advance(1);
    await assert.rejects(stuck, /stopped reading/);
    assert.equal(stream.destroyed, true);
    await assert.rejects(writeTo(stream, 'x', clock), /gone away/);
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
