import { strict as assert } from 'node:assert';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SwarmError } from '../../../lib/errors.ts';
import type { PortPublisher, PortRequest } from './publisher.ts';
import type { PortLead } from './ruleset.ts';
import { unruledPorts } from './testing.ts';

const [ipv4, ipv6] = ['172.31.0.2', 'fd00:31::2'];

describe('published ports of this host', () => {
  let ports: PortPublisher;
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

  /** A refusal says what it was about, and whose the port is. */
  const publisher = (host = unruledPorts({ texts: leads, textOf })) =>
    host.publisher({
      dynamic: { first: 49_153, last: 65_535 },
      rotates: true,
      refusal: ({ kind, hostIp, owner = 'nobody' }) =>
        new SwarmError('aborted', `${kind} at ${hostIp} by ${owner}`),
    });

  beforeEach(() => {
    leads = new Set();
    ports = publisher();
  });
  afterEach(() => ports[Symbol.asyncDispose]());

  for (const [name, addresses, hosts] of [
    ['of IPv4', [ipv4], ['0.0.0.0', '::']],
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
      // What comes by IPv6 to a container of IPv4 is carried, which no rule can do.
      assert.equal(leads.size, 2 * addresses.length);
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
    await assert.rejects(
      ports.publish('a', [ipv4, ipv6], [request]),
      /^SwarmError: taken at 0.0.0.0 by nobody$/,
    );
    assert.deepEqual([...leads], []);
    // Nothing is held of the other family either.
    const free = createServer().listen({ host: '127.0.0.1', port });
    await once(free, 'listening');
    for (const server of [free, other]) server.close();
  });

  it('of an address of IPv4 need a container that has it', async () => {
    const request = { ...any('tcp'), hostIp: '127.0.0.1' };
    await assert.rejects(ports.publish('a', [ipv6], [request]), /unreachable at 127.0.0.1/);
    const bound = await ports.publish('a', [ipv4, ipv6], [request]);
    assert.deepEqual([...leads], [`tcp 127.0.0.1:${bound[0]?.hostPort} to ${ipv4}:80`]);
    const carried = await ports.publish('b', [ipv4], [{ ...request, hostIp: '::1' }]);
    assert.deepEqual(
      carried.map(({ hostIp }) => hostIp),
      ['::1'],
    );
    assert.equal(leads.size, 1);
    const sctp = { ...any('sctp'), hostIp: '::1' };
    await assert.rejects(ports.publish('c', [ipv4], [sctp]), /unreachable at ::1/);
  });

  it('are told to be whose they are, of whatever kind the container is', async () => {
    const host = unruledPorts({ texts: leads, textOf });
    const [some, others] = [publisher(host), publisher(host)];
    const [first] = await some.publish('first', [ipv4], [any('tcp')]);
    const hostPort = first?.hostPort ?? 0;
    const same = { ...any('tcp'), first: hostPort, last: hostPort };
    for (const kind of [some, others]) {
      await assert.rejects(kind.publish('second', [ipv4], [same]), /taken at 0.0.0.0 by first$/);
    }
    // One that is chosen is another: nobody has to know of all others.
    const [other] = await others.publish('second', [ipv4], [any('tcp')]);
    assert.notEqual(other?.hostPort, hostPort);
    assert.deepEqual(host.owners(), [
      { protocol: 'tcp', port: hostPort, owner: 'first' },
      { protocol: 'tcp', port: other?.hostPort, owner: 'second' },
    ]);
    await host[Symbol.asyncDispose]();
  });

  it('are of IPv4 alone where the host has nothing else', async () => {
    const host = publisher(unruledPorts({ texts: leads, textOf }, false));
    const bound = await host.publish('a', [ipv4], [any('tcp')]);
    assert.deepEqual(
      bound.map(({ hostIp }) => hostIp),
      ['0.0.0.0'],
    );
    await host.withdraw('a');
    const [port] = bound;
    assert.ok(port);
    await host.adopt([{ id: 'a', ports: [port, { ...port, hostIp: '::' }], addresses: [ipv4] }]);
    assert.deepEqual(host.of('a'), bound);
    await host[Symbol.asyncDispose]();
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

  for (const addresses of [[ipv4, ipv6], [ipv4], []]) {
    it(`of a former daemon are taken up again, with [${addresses.join()}]`, async () => {
      const bound = await ports.publish('a', [ipv4, ipv6], [any('tcp')]);
      await ports.withdraw('a');
      await ports.adopt([{ id: 'a', ports: bound, addresses }]);
      assert.deepEqual(ports.of('a'), bound);
      assert.equal(leads.size, addresses.length);
    });
  }

  it('may lead before their container is there, and to one of IPv4', async () => {
    const server = createServer((socket) => socket.end('stream')).listen({
      host: '127.0.0.1',
      port: 0,
    });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const bound = await ports.publish('a', [], [any('tcp', port)]);
    assert.deepEqual(
      bound.map(({ hostIp }) => hostIp),
      ['0.0.0.0', '::'],
    );
    assert.deepEqual([...leads], []);
    const ask = () => text(connect({ host: '::1', port: bound[0]?.hostPort ?? 0 }));
    await assert.rejects(ask(), /ECONNRESET/);
    ports.move('a', ['127.0.0.1']);
    assert.equal(await ask(), 'stream');
    assert.equal(leads.size, 1);
    server.close();
  });

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
