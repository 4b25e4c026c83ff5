import { strict as assert } from 'node:assert';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { PortLead } from '../network/index.ts';
import type { PortRequest } from './port-requests.ts';
import { PublishedPorts } from './published-ports.ts';

const [ipv4, ipv6] = ['172.31.0.2', 'fd00:31::2'];

describe('ports that are published of standalone containers', () => {
  let ports: PublishedPorts;
  /** As the rules have been told, "tcp 0.0.0.0:8080 to 172.31.0.2:80". */
  let leads: Set<string>;

  const textOf = ({ protocol, hostIp, hostPort, address, containerPort }: PortLead) =>
    `${protocol} ${hostIp}:${hostPort} to ${address}:${containerPort}`;
  const any = (protocol: PortRequest['protocol'], containerPort = 80): PortRequest => ({
    containerPort,
    protocol,
    hostIp: '',
    first: 0,
    last: 0,
  });

  beforeEach(() => {
    leads = new Set();
    ports = new PublishedPorts({
      clock: realClock,
      log: silentLogger,
      ownerOf: () => undefined,
      rules: {
        replace: (all) => {
          leads = new Set([...all].map(textOf));
        },
        change: (gone, come) => {
          for (const lead of gone) assert.ok(leads.delete(textOf(lead)), textOf(lead));
          for (const lead of come) leads.add(textOf(lead));
        },
      },
    });
  });
  afterEach(() => ports[Symbol.asyncDispose]());

  for (const [name, addresses, hosts] of [
    ['of IPv4', [ipv4], ['0.0.0.0']],
    ['of IPv6', [ipv6], ['::']],
    ['of both', [ipv4, ipv6], ['0.0.0.0', '::']],
  ] as const) {
    it(`are on all addresses of the host by which a container ${name} is reached`, async () => {
      const bound = await ports.publish('a', addresses, [any('tcp'), any('udp')]);
      assert.deepEqual(
        bound.map(({ protocol, hostIp }) => `${protocol} ${hostIp}`),
        ['tcp', 'udp'].flatMap((protocol) => hosts.map((host) => `${protocol} ${host}`)),
      );
      const [tcp] = bound;
      assert.ok(leads.has(`tcp ${hosts[0]}:${tcp?.hostPort} to ${addresses[0]}:80`));
      assert.equal(leads.size, bound.length);
      await ports.withdraw('a');
      assert.deepEqual([...leads], []);
    });
  }

  it('have one number for both families', async () => {
    const bound = await ports.publish('a', [ipv4, ipv6], [any('tcp'), any('tcp', 81)]);
    const [first, second, third, fourth] = bound.map(({ hostPort }) => hostPort);
    assert.deepEqual([first, third], [second, fourth]);
    assert.notEqual(first, third);
  });

  it('are refused where another program has the number of one family', async () => {
    const other = createServer().listen({ host: '::1', port: 0 });
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const request = { ...any('tcp'), first: port, last: port };
    await assert.rejects(ports.publish('a', [ipv4, ipv6], [request]), /port is already allocated/);
    assert.deepEqual([...leads], []);
    // Nothing is held of the other family either.
    const free = createServer().listen({ host: '127.0.0.1', port });
    await once(free, 'listening');
    for (const server of [free, other]) server.close();
  });

  it('of an address of the host need a container of its family', async () => {
    const request = { ...any('tcp'), hostIp: '::1' };
    await assert.rejects(
      ports.publish('a', [ipv4], [request]),
      /on ::1: the container leaves by I/,
    );
    const bound = await ports.publish('a', [ipv4, ipv6], [request]);
    assert.deepEqual([...leads], [`tcp ::1:${bound[0]?.hostPort} to ${ipv6}:80`]);
  });

  it('follow the container to other addresses, and lead nowhere without one', async () => {
    const [bound] = await ports.publish('a', [ipv4, ipv6], [any('tcp')]);
    ports.move('a', ['172.31.9.9']);
    assert.deepEqual([...leads], [`tcp 0.0.0.0:${bound?.hostPort} to 172.31.9.9:80`]);
    ports.move('a', []);
    assert.deepEqual([...leads], []);
    assert.equal(ports.of('a').length, 2);
    ports.move('a', [ipv4, ipv6]);
    assert.equal(leads.size, 2);
  });

  for (const kept of [{ addresses: [ipv4, ipv6] }, { address: ipv4 }, { address: '' }]) {
    it(`of a former daemon are taken up again, with ${JSON.stringify(kept)}`, async () => {
      const bound = await ports.publish('a', [ipv4, ipv6], [any('tcp')]);
      await ports.withdraw('a');
      await ports.start([{ id: 'a', ports: bound, ...kept }]);
      assert.deepEqual(ports.of('a'), bound);
      const count = kept.addresses?.length ?? (kept.address === '' ? 0 : 1);
      assert.equal(leads.size, count);
    });
  }

  it('carry what comes to them by ::1, streams and datagrams', async () => {
    // The test's own programs stand for the container's.
    const server = createServer((socket) => socket.end('stream')).listen({ host: '::1', port: 0 });
    const udp = createSocket('udp6');
    udp.on('message', (bytes, { port, address }) =>
      udp.send(`${String(bytes)} back`, port, address),
    );
    udp.bind(0, '::1');
    await Promise.all([once(server, 'listening'), once(udp, 'listening')]);
    const { port: tcpPort } = server.address() as AddressInfo;
    const bound = await ports.publish(
      'a',
      ['::1'],
      [any('tcp', tcpPort), any('udp', udp.address().port)],
    );
    const client = connect({ host: '::1', port: bound[0]?.hostPort ?? 0 });
    assert.equal(await text(client), 'stream');
    const asking = createSocket('udp6');
    const answer = once(asking, 'message');
    asking.send('and', bound[1]?.hostPort ?? 0, '::1');
    assert.equal(String((await answer)[0]), 'and back');
    for (const socket of [asking, udp, server]) socket.close();
  });
});
