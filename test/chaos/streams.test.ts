/** Much through the daemons' streams, and many who listen: memory stays where it was. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { binary, sleep, until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm, words } from '../cluster/swarm.ts';

const gigabyte = 1024 ** 3;
/** What a daemon may take on top of what it had: buffers and the collector's idleness. */
const growthMaxBytes = 120 * 1024 * 1024;

describe('streams', () => {
  const get = useSwarm({ hosts: 2, images: ['talker:1'] });

  beforeEach(async () => {
    const flags = words('--constraint node.hostname==h2 --env LINES=3');
    await get().create('talk', ...flags, imageOf(get(), 'talker:1'));
    await get().runs('talk', 1);
  });

  const rssOf = (host: Host) => host.memory((argv) => argv.includes('daemon')).rssBytes;

  /** The most that each daemon had more than at the beginning, while `work` went on. */
  async function growth(what: string, work: () => Promise<unknown>): Promise<void> {
    const hosts = get().hosts;
    const before = hosts.map(rssOf);
    const most = [...before];
    const over = new AbortController();
    const watching = (async () => {
      while (!over.signal.aborted) {
        hosts.forEach((host, at) => (most[at] = Math.max(most[at] ?? 0, rssOf(host))));
        await sleep(100);
      }
    })();
    const startMs = performance.now();
    try {
      await work();
    } finally {
      over.abort();
      await watching;
    }
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const megabytes = (bytes = 0) => Math.round(bytes / 1024 / 1024);
    const shown = hosts.map(({ name }, at) => {
      return `${name} ${megabytes(before[at])} → ${megabytes(most[at])} MB`;
    });
    console.log(`        ${what}: ${shown.join(', ')} in ${seconds} s`);
    most.forEach((bytes, at) => assert.ok(bytes - (before[at] ?? 0) < growthMaxBytes, what));
  }

  /** How many bytes a command of ours prints. */
  async function bytesOf(host: Host, ...args: readonly string[]): Promise<number> {
    const child = spawn(binary, ['-H', host.url, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let bytes = 0;
    child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 0);
    return bytes;
  }

  it('carry a gigabyte of a command on another node', async () => {
    const { manager } = get();
    const command = ['sh', '-c', 'dd if=/dev/zero bs=1M count=1024 2>/dev/null'];
    await growth('exec of a task on another node', async () => {
      assert.equal(await bytesOf(manager, 'exec', 'talk.1', ...command), gigabyte);
    });
    const upload = `dd if=/dev/zero bs=1M count=1024 2>/dev/null | ${binary} -H ${manager.url} exec -i talk.1 wc -c`;
    await growth('exec with a gigabyte of input', async () => {
      const child = spawn('sh', ['-c', upload], { stdio: ['ignore', 'pipe', 'inherit'] });
      const parts: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
      await once(child, 'close');
      assert.equal(Number(Buffer.concat(parts).toString()), gigabyte);
    });
  });

  it('carry a gigabyte of logs, and to who is attached', async () => {
    const { manager } = get();
    const image = imageOf(get(), 'talker:1');
    await manager.docker('pull', image);
    const lines =
      "read x; dd if=/dev/zero bs=1M count=1024 2>/dev/null | tr '\\0' x | fold -w 8191";
    const kept = words('--log-opt max-size=4g --log-opt max-file=1');
    await manager.docker('create', '-i', ...kept, '--name', 'loud', image, 'sh', '-c', lines);
    await growth('attach to a container of this host', async () => {
      const line = `echo | docker -H ${manager.url} start -ai loud | wc -c`;
      const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'inherit'] });
      const parts: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
      await once(child, 'close');
      assert.ok(Number(Buffer.concat(parts).toString()) >= gigabyte);
    });
    await growth('logs of a container of this host', async () => {
      assert.ok((await bytesOf(manager, 'logs', 'loud')) >= gigabyte);
    });
    await manager.docker('rm', '-f', 'loud');
  });

  it('go to 200 who follow logs and events', async () => {
    const { manager } = get();
    const follow = (path: string) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const sent = request({ socketPath: manager.socketPath, path }, resolve);
        sent.on('error', reject).end();
      });
    await growth('200 clients', async () => {
      const paths = Array.from({ length: 200 }, (_, at) =>
        at % 2 === 0 ? '/events' : '/tasks/talk.1/logs?follow=1&stdout=1&stderr=1',
      );
      const responses = await Promise.all(paths.map(follow));
      const heard = responses.map(() => '');
      responses.forEach((response, at) => {
        response.on('data', (chunk: Buffer) => (heard[at] += chunk.toString('latin1')));
        response.on('error', () => undefined);
      });
      await manager.cli('service', 'update', '-d', '--label-add', 'a=b', 'talk');
      const done = () => heard.filter((text) => /line 3 of |"service"/.test(text)).length;
      await until('all have heard it', done, { accept: (count) => count === 200 });
      for (const response of responses) response.destroy();
    });
    assert.equal((await manager.apiResult('GET', '/_ping')).status, 200);
  });

  it('wait for one who does not read, and then end', async () => {
    const { manager } = get();
    const command = {
      AttachStdout: true,
      Cmd: ['sh', '-c', 'while :; do echo xxxxxxxxxxxxxxxx; done'],
    };
    const { Id } = await manager.api<{ Id: string }>('POST', '/tasks/talk.1/exec', command);
    const socket = connect(manager.socketPath);
    socket.pause();
    const body = '{"Detach":false,"Tty":false}';
    socket.write(
      `POST /tasks/talk.1/exec/${Id}/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n` +
        `Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await growth('a client that reads nothing', async () => {
      await sleep(5_000);
      assert.equal(await bytesOf(manager, 'exec', 'talk.1', 'echo', 'others'), 7);
      await sleep(60_000);
    });
    socket.resume();
    await once(socket, 'close');
  });
});
