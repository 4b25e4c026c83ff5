import { strict as assert } from 'node:assert';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, Socket, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packet, { type Packet } from 'dns-packet';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { seededRandom } from '../../../lib/random.ts';
import { inNamespace, Namespaces } from '../namespace.ts';
import { Netlink } from '../netlink.ts';
import type { AttachedContainer } from '../part.ts';
import { internetSocket } from '../syscalls.ts';
import { NetworkTables } from '../tables.ts';
import { framed } from './exchange.ts';
import { listenPort, resolverAddress } from './ports.ts';
import { Resolver } from './resolver.ts';
import { completeSet, endpoint, network, service } from './testing.ts';

/** Knows every name below .example; "long.example" only over TCP as a whole. */
class NameServer {
  readonly #udp: UdpSocket;
  readonly #tcp: Server;

  private constructor(udp: UdpSocket, tcp: Server) {
    this.#udp = udp;
    this.#tcp = tcp;
  }

  static async start(address: string): Promise<NameServer> {
    const udp = createSocket('udp4');
    udp.on('message', (query, client) => {
      udp.send(foreignAnswer(query, false), client.port, client.address);
    });
    await new Promise<void>((resolve) => udp.bind(0, address, resolve));
    const tcp = createServer((socket) => {
      socket.on('data', (bytes: Buffer) => {
        socket.end(framed(foreignAnswer(bytes.subarray(2), true)));
      });
    });
    const { port } = udp.address();
    await new Promise<void>((resolve) => tcp.listen(port, address, resolve));
    return new NameServer(udp, tcp);
  }

  get port(): number {
    return this.#udp.address().port;
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
  }
}

function foreignAnswer(query: Buffer, isWhole: boolean): Buffer {
  const { id = 0, questions = [] } = packet.decode(query);
  const name = questions[0]?.name ?? '';
  const count = name === 'long.example' ? (isWhole ? 100 : 10) : 1;
  return packet.encode({
    type: 'response',
    id,
    flags: count === 10 ? 0x0200 : 0,
    questions,
    answers: Array.from({ length: count }, (_, index) => ({
      type: 'A',
      name,
      ttl: 60,
      data: `192.0.2.${index}`,
    })),
  });
}

function queryFor(name: string, type = 'A'): Buffer {
  return packet.encode({ type: 'query', id: 77, questions: [{ type, name } as never] });
}

/** From inside the container's namespace, as its programs ask. */
function askOverUdp(netnsPath: string, query: Buffer): Promise<Packet> {
  const fd = inNamespace(netnsPath, () => internetSocket('udp', 4));
  const socket = createSocket('udp4');
  socket.bind({ fd });
  return new Promise<Packet>((resolve) => {
    socket.once('message', (answer) => resolve(packet.decode(answer)));
    socket.send(query, listenPort, resolverAddress);
  }).finally(() => socket.close());
}

function askOverTcp(netnsPath: string, queries: readonly Buffer[]): Promise<Packet[]> {
  const fd = inNamespace(netnsPath, () => internetSocket('tcp', 4));
  const socket = new Socket({ fd }).connect(listenPort, resolverAddress);
  let received = Buffer.alloc(0);
  const answers: Packet[] = [];
  return new Promise<Packet[]>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        answers.push(packet.decode(received.subarray(2, end)));
        received = received.subarray(end);
      }
      if (answers.length === queries.length) resolve(answers);
    });
    socket.write(Buffer.concat(queries.map(framed)));
  }).finally(() => socket.destroy());
}

function dataOf(answer: Packet): unknown[] {
  return (answer.answers ?? []).map((record) => 'data' in record && record.data);
}

describe('the resolver in containers', function () {
  let folder: string;
  let namespaces: Namespaces;
  let outside: NameServer;
  let resolver: Resolver;
  const tables = new NetworkTables();

  before(async function () {
    if (process.getuid?.() !== 0) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'resolver-'));
    namespaces = new Namespaces(folder, () => {
      using inside = new Netlink();
      inside.setUp(inside.link('lo')?.index ?? 1);
    });
    namespaces.prepare();
    outside = await NameServer.start('127.0.0.1');
    resolver = start();
    await resolver.changed(
      tables.apply(
        completeSet({
          networks: [network('front'), network('closed', { internal: true })],
          services: [service('front', 'web', ['10.0.1.2']), service('front', 'api', [])],
          endpoints: Array.from({ length: 40 }, (_, index) =>
            endpoint('front', `api.${index}`, [`10.0.1.${index + 10}/24`], { serviceId: 'api' }),
          ),
        }),
      ),
    );
  });

  after(async () => {
    if (folder === undefined) return;
    await resolver[Symbol.asyncDispose]();
    outside.close();
    namespaces.clear();
    rmSync(folder, { recursive: true });
  });

  function start(): Resolver {
    const nameservers = [{ address: '127.0.0.1', port: outside.port }];
    return new Resolver(
      { nameservers },
      { tables, clock: realClock, random: seededRandom(1), log: silentLogger },
    );
  }

  async function attach(id: string, networkIds: readonly string[]): Promise<AttachedContainer> {
    const container = {
      id,
      netnsPath: namespaces.create(id),
      networks: networkIds.map((networkId) => ({ networkId, addresses: [] })),
    };
    await resolver.attached(container);
    return container;
  }

  it('answers over UDP and TCP, from inside the namespace', async () => {
    const { netnsPath } = await attach('c1', ['front']);
    const answer = await askOverUdp(netnsPath, queryFor('web'));
    assert.deepEqual([answer.id, dataOf(answer)], [77, ['10.0.1.2']]);
    const all = await askOverTcp(netnsPath, [queryFor('web'), queryFor('api')]);
    assert.deepEqual(
      all.map((each) => dataOf(each).length),
      [1, 40],
    );
  });

  it('cuts long answers over UDP unless the client takes them', async () => {
    const { netnsPath } = await attach('c2', ['front']);
    const cut = await askOverUdp(netnsPath, queryFor('api'));
    assert.equal((cut as { flag_tc?: boolean }).flag_tc, true);
    assert.ok(dataOf(cut).length > 10 && dataOf(cut).length < 40);
    const query = packet.encode({
      type: 'query',
      questions: [{ type: 'A', name: 'api' }],
      additionals: [
        { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] } as never,
      ],
    });
    const whole = await askOverUdp(netnsPath, query);
    assert.equal(dataOf(whole).length, 40);
    assert.equal(whole.additionals?.length, 1);
  });

  it('asks others for foreign names, over TCP too where they are long', async () => {
    const { netnsPath } = await attach('c3', ['front']);
    assert.deepEqual(dataOf(await askOverUdp(netnsPath, queryFor('www.example'))), ['192.0.2.0']);
    const [long] = await askOverTcp(netnsPath, [queryFor('long.example')]);
    assert.ok(long);
    assert.equal(dataOf(long).length, 100);
    const cut = await askOverUdp(netnsPath, queryFor('long.example'));
    assert.ok(dataOf(cut).length < 100);
  });

  it('answers a client that has shut its side down after the question', async () => {
    const { netnsPath } = await attach('c11', ['front']);
    const fd = inNamespace(netnsPath, () => internetSocket('tcp', 4));
    const socket = new Socket({ fd }).connect(listenPort, resolverAddress);
    socket.end(framed(queryFor('www.example', 'AAAA')));
    const received: Buffer[] = [];
    for await (const bytes of socket) received.push(bytes as Buffer);
    const answer = packet.decode(Buffer.concat(received).subarray(2));
    assert.equal((answer as { rcode?: string }).rcode, 'NOERROR');
  });

  it('understands a server that refuses without repeating the question', async () => {
    const bare = createSocket('udp4');
    bare.on('message', (query, client) => {
      const answer = Buffer.from(query.subarray(0, 12));
      answer.writeUInt16BE(0x8085, 2);
      answer.fill(0, 4);
      bare.send(answer, client.port, client.address);
    });
    await new Promise<void>((resolve) => bare.bind(0, '127.0.0.1', resolve));
    const nameservers = [{ address: '127.0.0.1', port: bare.address().port }];
    const deps = { tables, clock: realClock, random: seededRandom(1), log: silentLogger };
    await using own = new Resolver({ nameservers }, deps);
    const container = { id: 'c10', netnsPath: '', networks: [] };
    const answer = await own.answer(container, queryFor('www.example'), 'udp');
    assert.ok(answer);
    const { rcode, questions } = packet.decode(answer) as Packet & { rcode?: string };
    assert.deepEqual([rcode, questions?.[0]?.name], ['REFUSED', 'www.example']);
    bare.close();
  });

  it('asks a container’s own name servers from inside', async () => {
    const container = await attach('c4', ['front']);
    const { netnsPath } = container;
    // Only inside is there anybody at this address; its port is DNS's own.
    const fd = inNamespace(netnsPath, () =>
      internetSocket('udp', 4, { address: '127.0.0.99', port: 53 }),
    );
    const inside = createSocket('udp4');
    inside.bind({ fd });
    inside.on('message', (query, client) => {
      const { id = 0, questions = [] } = packet.decode(query);
      const name = questions[0]?.name ?? '';
      const answers = [{ type: 'A' as const, name, ttl: 9, data: '198.51.100.7' }];
      const answer = packet.encode({ type: 'response', id, questions, answers });
      inside.send(answer, client.port, client.address);
    });
    await resolver.attached({ ...container, nameservers: ['127.0.0.99'] });
    const answer = await askOverUdp(netnsPath, queryFor('www.example'));
    assert.deepEqual(dataOf(answer), ['198.51.100.7']);
    inside.close();
  });

  it('fails where there is no way to the name server', async () => {
    const container = await attach('c9', ['front']);
    await resolver.attached({ ...container, nameservers: ['192.0.2.53', 'fd00::53'] });
    const answer = await askOverUdp(container.netnsPath, queryFor('www.example'));
    assert.equal((answer as { rcode?: string }).rcode, 'SERVFAIL');
    const [same] = await askOverTcp(container.netnsPath, [queryFor('www.example')]);
    assert.equal((same as { rcode?: string }).rcode, 'SERVFAIL');
  });

  it('asks nobody for a container without a way out', async () => {
    const { netnsPath } = await attach('c5', ['closed']);
    const answer = await askOverUdp(netnsPath, queryFor('www.example'));
    assert.equal((answer as { rcode?: string }).rcode, 'SERVFAIL');
  });

  it('survives garbage', async () => {
    const { netnsPath } = await attach('c6', ['front']);
    const fd = inNamespace(netnsPath, () => internetSocket('udp', 4));
    const socket = createSocket('udp4');
    socket.bind({ fd });
    const random = seededRandom(3);
    for (let round = 0; round < 300; round++) {
      const length = random.integer(90);
      const bytes = Buffer.from(Array.from({ length }, () => random.integer(256)));
      socket.send(bytes, listenPort, resolverAddress);
      // A turn of the event loop, or the last of them would find the receive buffer full.
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(dataOf(await askOverUdp(netnsPath, queryFor('web'))), ['10.0.1.2']);
    socket.close();
  });

  it('answers again after a restart of the daemon', async () => {
    const container = await attach('c7', ['front']);
    await resolver[Symbol.asyncDispose]();
    resolver = start();
    await resolver.attached(container);
    const answer = await askOverUdp(container.netnsPath, queryFor('web'));
    assert.deepEqual(dataOf(answer), ['10.0.1.2']);
  });

  it('finds nothing to repair where nothing is wrong', async () => {
    assert.deepEqual(await resolver.audit(), []);
  });

  it('lets go of the namespace', async () => {
    const { id, netnsPath } = await attach('c8', ['front']);
    await resolver.detached(id);
    namespaces.remove(id);
    assert.equal(existsSync(netnsPath), false);
    const again = await attach('c8', ['front']);
    assert.deepEqual(dataOf(await askOverUdp(again.netnsPath, queryFor('web'))), ['10.0.1.2']);
  });
});
