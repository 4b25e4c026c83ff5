/** Attaching by WebSocket: the same exchange with either daemon. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Host } from '../lab/index.ts';
import type { Field } from './field.ts';

const webSocketTitle = 'attach by WebSocket as with Docker’s daemon';

export function webSocketCases(get: () => Field): void {
  it(webSocketTitle, async () => {
    const field = get();
    const image = field.image('busybox:1');
    const hosts = [field.manager, field.dockerd];
    const [ours, theirs] = await Promise.all(hosts.map((host) => exchanges(host, image)));
    assert.deepEqual(ours, theirs);
    assert.deepEqual(ours?.answered, { frames: 'binary', said: 'got typed\n' });
  });
}

async function exchanges(host: Host, image: string) {
  await host.apiResult('POST', `/images/create?fromImage=${encodeURIComponent(image)}`);
  const { Id } = await host.api<{ Id: string }>('POST', '/containers/create', {
    Image: image,
    Cmd: ['sh', '-c', 'read word; echo got $word'],
    OpenStdin: true,
    StdinOnce: true,
  });
  try {
    await host.api('POST', `/containers/${Id}/start`);
    return {
      unknown: await refusal(host, 'nobody'),
      answered: await answer(host, `/v1.41/containers/${Id}`),
    };
  } finally {
    await host.api('DELETE', `/containers/${Id}?force=1`);
  }
}

function open(host: Host, path: string): WebSocket {
  const streams = 'stream=1&stdin=1&stdout=1&stderr=1';
  const url = `ws+unix:${host.socketPath}:${path}/attach/ws?${streams}`;
  // Docker's daemon asks for one, and takes any.
  return new WebSocket(url, { origin: 'http://localhost', handshakeTimeout: 120_000 });
}

async function answer(host: Host, path: string) {
  const client = open(host, path);
  const frames: { data: Buffer; isBinary: boolean }[] = [];
  client.on('message', (data: Buffer, isBinary) => frames.push({ data, isBinary }));
  await once(client, 'open');
  client.send('typed\n');
  await once(client, 'close');
  return {
    frames: frames.every(({ isBinary }) => isBinary) ? 'binary' : 'text',
    said: Buffer.concat(frames.map(({ data }) => data)).toString(),
  };
}

async function refusal(host: Host, name: string): Promise<number | undefined> {
  const client = open(host, `/v1.41/containers/${name}`);
  const [, response] = (await once(client, 'unexpected-response')) as [
    unknown,
    { statusCode?: number; resume: () => void },
  ];
  client.on('error', () => undefined);
  client.terminate();
  return response.statusCode;
}
