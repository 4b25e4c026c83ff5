/** The API given what no client should send: it gives the right answer, and the daemon lives. */
import { strict as assert } from 'node:assert';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { request } from 'node:http';
import { Lab, formSwarm, until, type Host } from '../lab/index.ts';
import { withDaemonLogs } from './swarm.ts';

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  /** Sent as it is. */
  readonly body?: string;
  readonly contentType?: string;
  readonly status: number;
  readonly says: RegExp;
}

const spec = (task: unknown, rest: object = {}) =>
  JSON.stringify({ Name: 'x', TaskTemplate: task, ...rest });
const container = { ContainerSpec: { Image: 'web:1' } };

const cases: readonly Case[] = [
  {
    name: 'JSON that is cut off',
    path: '/services/create',
    body: '{"Name": "x"',
    status: 400,
    says: /JSON/i,
  },
  {
    name: 'JSON that is no object',
    path: '/services/create',
    body: '[1, 2]',
    status: 400,
    says: /object/,
  },
  {
    name: 'no body where one is needed',
    path: '/services/create',
    body: '',
    status: 400,
    says: /TaskSpec: missing runtime/,
  },
  {
    name: 'another media type',
    path: '/services/create',
    body: 'Name=x',
    contentType: 'text/plain',
    status: 400,
    says: /text\/plain|application\/json/,
  },
  {
    name: 'a number in place of a name',
    path: '/services/create',
    body: spec(container, { Name: 5 }),
    status: 400,
    says: /Name.*string|string.*Name/,
  },
  {
    name: 'text in place of a number',
    path: '/services/create',
    body: spec(container, { Mode: { Replicated: { Replicas: 'lots!' } } }),
    status: 400,
    says: /Mode\.Replicated\.Replicas/,
  },
  {
    name: 'fewer than no replicas',
    path: '/services/create',
    body: spec(container, { Mode: { Replicated: { Replicas: -1 } } }),
    status: 400,
    says: /Replicas/,
  },
  {
    name: 'a service without an image',
    path: '/services/create',
    body: spec({ ContainerSpec: {} }),
    status: 400,
    says: /image/i,
  },
  {
    name: 'a name that cannot be',
    path: '/services/create',
    body: spec(container, { Name: '../etc' }),
    status: 400,
    says: /name/i,
  },
  {
    name: 'a constraint that cannot be read',
    path: '/services/create',
    body: spec({ ...container, Placement: { Constraints: ['node.role is manager'] } }),
    status: 400,
    says: /constraint/i,
  },
  {
    name: 'an update without a version',
    path: '/services/x/update',
    body: spec(container),
    status: 400,
    says: /version/i,
  },
  {
    name: 'filters that are no JSON',
    method: 'GET',
    path: '/tasks?filters=%7Bservice',
    status: 400,
    says: /filter/i,
  },
  {
    name: 'a filter that does not exist',
    method: 'GET',
    path: '/tasks?filters=%7B%22colour%22%3A%5B%22red%22%5D%7D',
    status: 400,
    says: /invalid filter 'colour'/,
  },
  {
    name: 'a service that does not exist',
    method: 'GET',
    path: '/services/nobody',
    status: 404,
    says: /service nobody not found/,
  },
  {
    name: 'a path that does not exist',
    method: 'GET',
    path: '/no/such/thing',
    status: 404,
    says: /page not found/,
  },
  {
    name: 'a path that climbs',
    method: 'GET',
    path: '/services/..%2f..%2fetc%2fpasswd',
    status: 404,
    says: /not found/,
  },
  {
    name: 'a path that cannot be decoded',
    method: 'GET',
    path: '/services/%zz',
    status: 400,
    says: /./,
  },
  {
    name: 'a version of the API that is too old',
    method: 'GET',
    path: '/v1.2/info',
    status: 400,
    says: /client version 1\.2 is too old/,
  },
  {
    name: 'a version of the API that is too new',
    method: 'GET',
    path: '/v9.99/info',
    status: 400,
    says: /client version 9\.99 is too new/,
  },
  {
    name: 'a method that the path does not have',
    method: 'DELETE',
    path: '/info',
    status: 404,
    says: /page not found/,
  },
  {
    name: 'a join in which nothing is right',
    path: '/swarm/join',
    body: '{"RemoteAddrs": "here", "JoinToken": 7}',
    status: 400,
    says: /(JoinToken|RemoteAddrs)/,
  },
];

describe('the API', () => {
  let lab: Lab;
  let host: Host;
  let daemonPid: number;

  before(async () => {
    lab = await Lab.create({ hosts: 1 });
    host = lab.host('h1');
    await host.startDaemon();
    await formSwarm([host], 1);
    daemonPid = host.daemonPid;
  });
  afterEach(async function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, lab);
    assert.equal((await host.apiResult('GET', '/_ping')).body, 'OK');
    assert.equal(host.daemonPid, daemonPid);
    assert.ok(host.processes().some(({ pid }) => pid === daemonPid));
    assert.deepEqual(await host.api('GET', '/services'), []);
    assert.equal((await host.api<unknown[]>('GET', '/nodes')).length, 1);
  });
  after(() => lab.close());

  for (const { name, method = 'POST', path, body, contentType, status, says } of cases) {
    it(`answers ${status} to ${name}`, async () => {
      const type = contentType ?? 'application/json';
      const answer = await send(host, method, path, body, { 'content-type': type });
      assert.equal(answer.status, status, answer.body);
      const { message } = JSON.parse(answer.body) as { message: string };
      assert.match(message, says);
      assert.ok(!/\n\s+at /.test(message), 'no stack trace');
    });
  }

  it('refuses a body without an end, and does not keep it', async () => {
    const megabyte = Buffer.alloc(1024 * 1024, ' ');
    const before = host.memory((argv) => argv.includes('daemon')).rssBytes;
    const status = await new Promise<number>((resolve) => {
      const outgoing = request(
        {
          socketPath: host.socketPath,
          path: '/services/create',
          method: 'POST',
          agent: false,
          headers: { 'content-type': 'application/json' },
        },
        (incoming) => {
          incoming.resume();
          resolve(incoming.statusCode ?? 0);
          stop();
        },
      );
      // The daemon may hang up while this side still sends: the answer is what counts.
      outgoing.on('error', () => resolve(-1));
      let sent = 0;
      const feed = () => {
        while (sent < 200 && !outgoing.destroyed) {
          sent += 1;
          if (!outgoing.write(megabyte)) return;
        }
        if (!outgoing.destroyed) outgoing.end();
      };
      const stop = () => {
        sent = 200;
        outgoing.destroy();
      };
      outgoing.on('drain', feed);
      feed();
    });
    assert.ok(status === 413 || status === -1, String(status));
    const grown = () => host.memory((argv) => argv.includes('daemon')).rssBytes - before;
    await until('the daemon has not grown by it', grown, {
      accept: (bytes) => bytes < 100 * 1024 * 1024,
    });
  });

  it('serves others while connections stand half open', async () => {
    const sockets: Socket[] = [];
    for (let count = 0; count < 200; count++) {
      const socket = connect(host.socketPath);
      socket.on('error', () => socket.destroy());
      socket.write('POST /services/create HTTP/1.1\r\nHost: x\r\nContent-Le');
      sockets.push(socket);
    }
    try {
      await until('they are connected', () => sockets.every((socket) => !socket.connecting));
      assert.equal((await host.apiResult('GET', '/info')).status, 200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  for (const { name, bytes, answer } of [
    { name: 'TLS', bytes: '\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc', answer: /400/ },
    { name: 'noise', bytes: '\0\u0001\u0002garbage\r\n\r\n', answer: /400/ },
    {
      name: 'a header without an end',
      bytes: `GET / HTTP/1.1\r\nX: ${'x'.repeat(200_000)}`,
      answer: /431|400/,
    },
    { name: 'another protocol', bytes: 'SSH-2.0-OpenSSH_9.2\r\n\r\n', answer: /400/ },
  ]) {
    it(`hangs up on ${name}`, async () => {
      const socket = connect(host.socketPath);
      let heard = '';
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
      socket.write(Buffer.from(bytes, 'latin1'));
      await until('it is closed', () => socket.closed);
      if (heard !== '') assert.match(heard.split('\r\n')[0] ?? '', answer);
    });
  }

  it('lives on when clients leave in the middle of streams', async () => {
    for (let count = 0; count < 20; count++) {
      const socket = connect(host.socketPath);
      socket.on('error', () => socket.destroy());
      socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
      await once(socket, 'data', { signal: AbortSignal.timeout(60_000) });
      socket.destroy();
    }
    await host.cli('node', 'update', '--label-add', 'a=b', 'h1');
    await host.cli('node', 'update', '--label-rm', 'a', 'h1');
  });
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

function send(
  host: Host,
  method: string,
  path: string,
  body: string | undefined,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const outgoing = request(
    { socketPath: host.socketPath, path, method, agent: false, headers },
    (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}
