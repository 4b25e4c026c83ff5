import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { until } from '../../../test/lab/index.ts';
import { MeshBench, port, subnets } from '../../../test/wires/mesh-bench.ts';
import type { Place } from '../../../test/wires/wires.ts';
import { relayedFrom } from './names.ts';

/** The machine may be busy with other tests. */
const patienceMs = 60_000;

describe('routing mesh with IPv6 that nobody asked for', function () {
  this.timeout(180_000);
  let bench: MeshBench;

  beforeEach(async () => {
    bench = new MeshBench(3, 1500, subnets.slice(0, 1));
    bench.node(0).derivesIpv6 = true;
    bench.node(1).derivesIpv6 = true;
    await bench.assign();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  /** By a stream, and by two datagrams of one client. */
  const answers = async (from: Place, to: string) => {
    const client = bench.wires.udp(from, to.includes(':') ? 6 : 4);
    const found = [await bench.wires.ask(from, to, port.tcp, patienceMs)];
    for (const _ of ['first', 'second']) {
      found.push(await bench.wires.askUdp(client, to, port.udp, patienceMs));
    }
    return [...new Set(found)];
  };

  it('shows tasks who asks, by nodes with and without one', async () => {
    await bench.addServer(10, bench.node(0));
    assert.deepEqual(await answers(bench.outside, 'fd99::2'), ['10 fd99::100']);
    assert.deepEqual(await answers(bench.outside, 'fd99::3'), ['10 fd99::100']);
    assert.deepEqual(await answers(bench.node(1).place, 'fd99::2'), ['10 fd99::3']);
    assert.deepEqual(await answers(bench.node(0).place, 'fd99::2'), ['10 fd99::2']);
    assert.deepEqual(await answers(bench.outside, '192.168.99.3'), ['10 192.168.99.100']);
    // The third carries IPv4 only, and leads such clients on itself.
    const { address } = bench.node(2).host;
    assert.deepEqual(await answers(bench.outside, 'fd99::4'), [`10 ${address}`]);
  });

  it('leads on to programs that listen on IPv4 alone, in their containers', async () => {
    await bench.addServer(10, bench.node(0), '0.0.0.0');
    const { wires } = bench;
    for (const host of ['fd99::2', 'fd99::3']) {
      assert.deepEqual(await answers(bench.outside, host), [`10 ${relayedFrom}`]);
    }
    assert.deepEqual(await answers(bench.outside, '192.168.99.3'), ['10 192.168.99.100']);
    const place = { name: 'c11', path: (await bench.node(1).attach(11)).path };
    wires.serve(place, { address: '0.0.0.0', port: 80 }, (socket) => socket.pipe(socket));
    await bench.tell(11, bench.node(1));
    await bench.tell(10, bench.node(0), false);
    const payload = randomBytes(4 * 1024 * 1024);
    const socket = await wires.connect(bench.outside, 'fd99::2', port.tcp, patienceMs);
    socket.end(payload);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    assert.ok(Buffer.concat(chunks).equals(payload), 'much, both ways, to the end');
  });

  it('refuses at once where no program listens, and where no task is', async () => {
    // A relay has accepted before it knows.
    const refused = /ECONN(REFUSED|RESET)/;
    const ask = (host: string) => bench.wires.ask(bench.outside, host, port.tcp, patienceMs);
    for (const host of ['fd99::2', 'fd99::3', 'fd99::4']) await assert.rejects(ask(host), refused);
    await bench.node(0).attach(10);
    await bench.tell(10, bench.node(0));
    for (const host of ['fd99::2', 'fd99::3']) await assert.rejects(ask(host), refused);
  });

  it('is led on by nodes, where all tasks are on others that carry IPv4 only', async () => {
    await bench.addServer(10, bench.node(2));
    for (const [index, host] of ['fd99::2', 'fd99::3', 'fd99::4'].entries()) {
      const { address } = bench.node(index).host;
      assert.deepEqual(await answers(bench.outside, host), [`10 ${address}`]);
    }
    await bench.addServer(11, bench.node(0));
    assert.deepEqual(await answers(bench.outside, 'fd99::3'), ['11 fd99::100']);
  });

  it('carries datagrams that are larger than its devices take', async () => {
    await bench.addServer(10, bench.node(0));
    const { wires } = bench;
    const ask = [
      'import socket, sys',
      's = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)',
      's.settimeout(1)',
      's.connect((sys.argv[1], int(sys.argv[2])))',
      // A sender learns by the first what the way takes.
      'for attempt in range(3):',
      '    try:',
      "        s.send(b'x' * 4000)",
      '        print(s.recv(100).decode())',
      '        break',
      '    except OSError: pass',
    ].join('\n');
    for (const [place, host, source] of [
      [bench.outside, 'fd99::3', 'fd99::100'],
      [bench.node(1).place, 'fd99::3', 'fd99::3'],
      [bench.node(0).place, 'fd99::3', 'fd99::2'],
    ] as const) {
      const carried = async () => {
        for (const { mesh } of bench.nodes) await mesh.audit();
        return (await wires.runAside(place, 'python3', '-c', ask, host, String(port.udp))).trim();
      };
      // The kernel tells the wire's end only after a while that the other is up.
      await until(`${source} is answered`, carried, {
        accept: (said) => said === `10 ${source}`,
        timeoutMs: 40_000,
      });
    }
  });

  it('tells a container at once that IPv6 leads nowhere else', async () => {
    const server = await bench.addServer(10, bench.node(0));
    const { wires } = bench;
    await assert.rejects(wires.ask(server, '2001:db8::1', 443, patienceMs), {
      code: 'ENETUNREACH',
    });
    assert.match(wires.run(server, 'nft', 'list', 'ruleset'), /reject with icmpx no-route/);
  });

  it('is adopted by the next daemon, and put right where it is damaged', async () => {
    const server = await bench.addServer(10, bench.node(0), '0.0.0.0');
    const a = bench.node(0);
    await a.restart(bench.everything());
    assert.deepEqual(await answers(bench.outside, 'fd99::3'), [`10 ${relayedFrom}`]);
    assert.deepEqual(await a.mesh.audit(), []);
    bench.wires.set(a.place, 'ipv6/conf/all/forwarding', '0');
    bench.wires.set(a.place, 'ipv4/ip_forward', '0');
    bench.wires.set(server, 'ipv4/tcp_fwmark_accept', '0');
    bench.wires.ip(server, `addr del ${relayedFrom}/32 dev lo`);
    bench.wires.run(server, 'nft', 'flush', 'map', 'inet', 'ts_swarm_mesh', 'relays');
    const repairs = await a.mesh.audit();
    assert.deepEqual(
      repairs.filter(({ kind }) => kind === 'setting').map(({ what }) => what.split(' ')[0]),
      ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv4/tcp_fwmark_accept'],
    );
    assert.deepEqual(await answers(bench.outside, 'fd99::2'), [`10 ${relayedFrom}`]);
    assert.deepEqual(await a.mesh.audit(), []);
  });
});
