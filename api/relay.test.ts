/** A manager's answers about containers of other nodes. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair, type Duplex } from 'node:stream';
import { SwarmError } from '../lib/errors.ts';
import { silentLogger } from '../lib/log.ts';
import { makeTask } from '../manager/store/testing.ts';
import { containerDocument, createExtras, type Task } from '../types/index.ts';
import { taskContainerHexId } from '../worker/runtime/hex-id.ts';
import { containerIdOf } from '../worker/task/index.ts';
import { createApiServer, type ApiServer } from './server.ts';
import { FakeBackend, testImage } from './testing.ts';

/** A service's task on the other node, and its container there. */
const service = { id: 'web', specVersion: 0, spec: { name: 'web', task: { forceUpdate: 0 } } };
const task: Task = makeTask('task2', service as never, {
  nodeId: 'far',
  slot: 2,
  name: 'web.2.task2',
  serviceName: 'web',
  status: { state: 'running', atMs: 0, message: '' },
});
const hexId = taskContainerHexId(containerIdOf(task));

describe('containers of other nodes', () => {
  let manager: FakeBackend;
  let node: FakeBackend;
  let server: ApiServer;
  let nodeServer: ApiServer;
  let folder: string;
  let path: string;
  /** The manager's ends of what is open to the node. */
  let open: Duplex[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-relay-'));
    path = join(folder, 'docker.sock');
    open = [];
    manager = new FakeBackend();
    node = new FakeBackend();
    nodeServer = createApiServer({ backend: node, log: silentLogger, clock: node.clock });
    server = createApiServer({ backend: manager, log: silentLogger, clock: manager.clock });
    await manager.becomeManager();
    await manager.propose([{ op: 'put', table: 'task', object: task, base: 0 }]);
    manager.reach = (nodeId) => {
      assert.equal(nodeId, 'far');
      const [near, far] = duplexPair();
      far.on('error', () => far.destroy());
      open.push(near);
      nodeServer.serveManager(far);
      return Promise.resolve(near);
    };
    await runOnNode();
    await server.listen({ unixSocket: path });
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    await nodeServer[Symbol.asyncDispose]();
    for (const backend of [manager, node]) {
      await backend.containers[Symbol.asyncDispose]();
      rmSync(backend.made.dataRoot, { recursive: true, force: true });
    }
    rmSync(folder, { recursive: true });
  });

  /** As if the node's executor had made it. */
  async function runOnNode(): Promise<void> {
    const { runtime } = node.made;
    await runtime.create({ id: containerIdOf(task) } as never);
    await runtime.start(containerIdOf(task));
    const assigned = { id: task.id, name: task.name, spec: task.spec };
    const { status } = task;
    const containerId = containerIdOf(task);
    node.made.tasks = [{ containerId, task: assigned as never, status, prepared: undefined }];
    await node.containers.open();
    await manager.containers.open();
  }

  async function send(line: string, headers = '', body = ''): Promise<Socket> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
    const type = 'Content-Type: application/json\r\n';
    socket.write(`${line} HTTP/1.1\r\nHost: d\r\n${headers}${type}${length}\r\n${body}`);
    return socket;
  }
  async function answerOf(socket: Socket): Promise<string> {
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part as Buffer);
    socket.destroy();
    return Buffer.concat(parts).toString('latin1');
  }
  const close = 'Connection: close\r\n';
  const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
  const get = async (line: string) => answerOf(await send(line, close));

  for (const name of ['task2', 'web.2', 'web.2.task2', 'tas']) {
    it(`are found by their task as ${name}`, async () => {
      assert.match(await get(`GET /tasks/${name}/container`), new RegExp(`"Id":"${hexId}"`));
    });
  }
  for (const name of [hexId, hexId.slice(0, 12), 'web.2.task2']) {
    it(`are found like a container as ${name}`, async () => {
      assert.match(await get(`GET /containers/${name}/json`), new RegExp(`"Id":"${hexId}"`));
    });
  }

  const exec = JSON.stringify({ AttachStdout: true, AttachStderr: true, Cmd: ['id'] });
  for (const [name, create, start] of [
    ['by the task', '/tasks/web.2/exec', '/tasks/web.2/exec/ID'],
    ['by the container', `/containers/${hexId}/exec`, '/exec/ID'],
  ] as const) {
    it(`run commands ${name}`, async () => {
      node.made.runtime.onExec = () => ({ exitCode: 3, output: 'said' });
      const created = await answerOf(await send(`POST ${create}`, close, exec));
      const id = /"Id":"([0-9a-f]{64})"/.exec(created)?.[1] ?? assert.fail(created);
      const started = await answerOf(
        await send(`POST /v1.41${start.replace('ID', id)}/start`, upgrade, '{"Detach":false}'),
      );
      assert.match(started, /^HTTP\/1\.1 101 UPGRADED\r\nContent-Type: \S+raw-stream\r\n/);
      assert.ok(started.endsWith('said'), started);
      assert.match(await get(`GET ${start.replace('ID', id)}/json`), /"ExitCode":3/);
    });
  }

  it('tell in their own stream that the node has gone', async () => {
    const socket = await send(
      `POST /v1.50/containers/${hexId}/attach?stream=1&stdout=1&stderr=1`,
      upgrade,
    );
    await once(socket, 'readable');
    for (const end of open) end.destroy(new SwarmError('unavailable', 'node far is down'));
    const answer = await answerOf(socket);
    assert.match(answer, /^HTTP\/1\.1 101 /);
    const words = 'the connection to node far broke off: node far is down\n';
    const header = String.fromCharCode(3, 0, 0, 0, 0, 0, 0, words.length);
    assert.ok(answer.endsWith(`${header}${words}`), answer);
  });

  it('are let go of when the client goes', async () => {
    const socket = await send(`POST /containers/${hexId}/attach?stream=1&stdout=1`, upgrade);
    await once(socket, 'readable');
    const closed = once(open[0]!, 'close');
    socket.destroy();
    // To have ended its side alone is no farewell: that shows when something is to be said to it.
    const patience = setInterval(() => node.made.runtime.write(containerIdOf(task), 'stdout', 'x'));
    await closed;
    clearInterval(patience);
  });

  it('say why they cannot be reached', async () => {
    manager.reach = () => Promise.reject(new SwarmError('unavailable', 'node far is down'));
    const answer = await get(`GET /containers/${hexId}/json`);
    assert.match(answer, /^HTTP\/1\.1 503 .*node far is down/s);
    const pending = { ...task, id: 'task3', name: 'web.3.task3', slot: 3, nodeId: '' };
    const object = { ...pending, status: { ...task.status, state: 'pending' as const } };
    await manager.propose([{ op: 'put', table: 'task', object, base: 0 }]);
    assert.match(
      await get('GET /tasks/web.3/top'),
      /^HTTP\/1\.1 409 .*task web\.3 is pending: it has no container yet/s,
    );
    assert.match(await get('GET /containers/nobody/json'), /404 .*No such container: nobody/s);
  });

  it('are only those of tasks: what a node keeps for itself is its own', async () => {
    const { id } = await node.containers.create({
      name: 'private',
      config: containerDocument.decode({ Image: testImage.repoTags[0] }, ''),
      extras: createExtras.decode({}, ''),
      platform: '',
    });
    const asManager = async (line: string) => {
      const [near, far] = duplexPair();
      nodeServer.serveManager(far);
      near.write(`${line} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n`);
      const parts: Buffer[] = [];
      for await (const part of near) parts.push(part as Buffer);
      return Buffer.concat(parts).toString('utf8');
    };
    assert.match(await asManager(`GET /containers/${id}/json`), /404 .*No such container/s);
    assert.match(await asManager('GET /containers/json'), /404 .*page not found/s);
    assert.match(await asManager(`GET /containers/${hexId}/json`), /^HTTP\/1\.1 200 /);
  });
});
