/** Ports that are published on every node: who answers, and whom the answering task sees. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { addressesOf, all, namedBySlot, Peers } from './network-peers.ts';
import { SctpPeers } from './sctp.ts';
import { imageOf, useSwarm, type TaskView } from './swarm.ts';

const port = { tcp: 8080, udp: 8053 } as const;
const published = ['--publish', `${port.tcp}:80`, '--publish', `${port.udp}:53/udp`];
const replicas = 2;

interface WireService {
  readonly Endpoint: {
    readonly VirtualIPs: readonly { readonly NetworkID: string; readonly Addr: string }[];
  };
}

describe('published ports', () => {
  const get = useSwarm({ hosts: 3, images: ['peer:1', 'sleeper:1'] });
  let peers: Peers;
  let tasks: readonly TaskView[];

  /** The test's own address, as the hosts see it. */
  const outside = () => get().lab.registry.address.split(':')[0] ?? '';
  /** By number: "fd99::1" is h1's. */
  const v6 = (number: number) => `fd99::${number}`;

  before(async () => {
    peers = new Peers();
    const swarm = get();
    for (const [index, host] of swarm.hosts.entries()) {
      await host.exec(['sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=0']);
      await host.exec(['ip', 'addr', 'add', `${v6(index + 1)}/64`, 'dev', 'eth0', 'nodad']);
    }
  });
  after(() => peers[Symbol.asyncDispose]());

  beforeEach(async () => {
    const swarm = get();
    const flags = ['--replicas', String(replicas), ...namedBySlot, ...published];
    const onFirstHosts = ['--constraint', 'node.hostname!=h3'];
    await swarm.create('peer', ...flags, ...onFirstHosts, imageOf(swarm, 'peer:1'));
    tasks = await swarm.runs('peer', replicas);
    const away = peers.onHost(swarm.host('h3'));
    for (const [index, host] of swarm.hosts.entries()) {
      await answer(peers.outside, host.address, outside());
      await answer(away, v6(index + 1), v6(3));
    }
  });
  afterEach(() => get().clear());

  const answer = (place: Parameters<Peers['ask']>[0], host: string, source: string) =>
    until(
      `both tasks answer at ${host}`,
      () => peers.seenBy(place, host, port.tcp, 12).catch(String),
      {
        accept: (seen) => String(seen) === all('peer', replicas, source).join(),
        timeoutMs: 60_000,
      },
    );
  const removeNetwork = (name: string) =>
    until(`${name} can go`, () => get().cli('network', 'rm', name).catch(String), {
      accept: (said) => said.trim() === name,
    });
  const bothWays = async (place: Parameters<Peers['ask']>[0], host: string, source: string) => {
    // Time may pass until there are answers. Each of them that shows somebody else is a fault,
    // whatever comes after it.
    const accept = (seen: readonly string[] | string) => typeof seen !== 'string';
    const within = { accept, timeoutMs: 60_000 };
    const expected = all('peer', replicas, source);
    const byTcp = () => peers.seenBy(place, host, port.tcp).catch(String);
    assert.deepEqual(await until(`TCP at ${host}`, byTcp, within), expected, `TCP at ${host}`);
    const byUdp = () => peers.seenByUdp(place, host, port.udp).catch(String);
    assert.deepEqual(await until(`UDP at ${host}`, byUdp, within), expected, `UDP at ${host}`);
  };

  it('show the tasks a client from outside, by nodes with and without a task', async () => {
    const swarm = get();
    for (const host of swarm.hosts) {
      await bothWays(peers.outside, host.address, outside());
    }
  });

  it('show the tasks a client that is another node, also by IPv6', async () => {
    const swarm = get();
    const place = peers.onHost(swarm.host('h3'));
    for (const [index, host] of swarm.hosts.entries()) {
      const own = swarm.host('h3').address;
      await bothWays(place, host.address, own);
      await bothWays(place, v6(index + 1), v6(3));
    }
  });

  it('answer on localhost of every node', async () => {
    const swarm = get();
    for (const host of swarm.hosts) {
      await bothWays(peers.onHost(host), '127.0.0.1', host.address);
      const seen = await until(`::1 of ${host.name} answers`, () =>
        peers.seenBy(peers.onHost(host), '::1', port.tcp),
      );
      assert.deepEqual(
        seen.map((line) => line.split(' ')[0]),
        all('peer', replicas, '').map((line) => line.trim()),
      );
    }
  });

  it('answer containers: of another network, and of the service itself', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    await swarm.cli('network', 'create', '-d', 'overlay', 'other');
    try {
      await swarm.create('client', '--mode', 'global', '--network', 'other', image);
      for (const client of [...(await swarm.running('client')), ...tasks]) {
        const place = peers.inTask(swarm, client);
        const own = swarm.host(client.host).address;
        const far = swarm.hosts.find(({ name }) => name !== client.host);
        await bothWays(place, far?.address ?? '', own);
        const [near = ''] = await until(`${own} answers`, () =>
          peers.seenBy(place, own, port.tcp, 1),
        );
        const source = near.split(' ')[1] ?? '';
        assert.notEqual(source, own, 'on its own node it is seen as itself');
        await bothWays(place, own, source);
      }
    } finally {
      await swarm.cli('service', 'rm', 'client');
      await removeNetwork('other');
    }
  });

  it('answer clients of IPv6 also where programs listen on IPv4 alone, or have no IPv6', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    const off = ['--sysctl', 'net.ipv6.conf.all.disable_ipv6=1'];
    for (const [name, number, flags] of [
      ['plain', 8095, []],
      ['off', 8096, off],
    ] as const) {
      const place = ['--constraint', 'node.hostname==h1', '--publish', `${number}:80`];
      await swarm.create(name, ...place, ...flags, image);
      const [task] = await swarm.running(name);
      assert.ok(task);
      const within = peers.inTask(swarm, task);
      peers.serve(within, { address: '0.0.0.0', port: 80 }, (socket) => socket.end(name));
      for (const number6 of [1, 2]) {
        const ask = () => peers.ask(peers.onHost(swarm.host('h3')), v6(number6), number, 5000);
        const answered = { accept: (said: string) => said === name, timeoutMs: 60_000 };
        await until(`${name} answers at ${v6(number6)}`, () => ask().catch(String), answered);
      }
      const ipv6 = peers.run(within, 'cat', '/proc/net/if_inet6').includes('eth0');
      assert.equal(ipv6, name === 'plain', 'the setting is kept');
    }
  });

  it('carry SCTP: by the mesh, by one host, to virtual addresses and to containers', async () => {
    const swarm = get();
    await using sctp = new SctpPeers();
    await swarm.cli('network', 'create', '-d', 'overlay', 'calls');
    try {
      const ports = ['3868:3869/sctp', 'mode=host,published=3870,target=3869,protocol=sctp'];
      const flags = ports.flatMap((text) => ['--publish', text]);
      const places = ['--constraint', 'node.hostname!=h3', '--network', 'calls'];
      const image = imageOf(swarm, 'sleeper:1');
      await swarm.create('calls', '--mode', 'global', ...flags, ...places, image);
      const servers = await swarm.running('calls');
      for (const task of servers) await sctp.serve(peers.inTask(swarm, task), 3869, task.host);
      const seen = async (where: Parameters<Peers['ask']>[0], host: string, source: string) => {
        const expected = servers.map((task) => `${task.host} ${source}`).toSorted();
        await until(`both answer at ${host} in ${where.name}`, () => sctp.ask(where, host, 3868), {
          accept: (lines) => lines.join() === expected.join(),
          timeoutMs: 30_000,
        });
      };
      await seen(peers.outside, swarm.host('h3').address, outside());
      await seen(peers.outside, swarm.host('h1').address, outside());
      await seen(peers.onHost(swarm.host('h3')), v6(1), v6(3));
      /** Whatever somebody says counts, but not that nobody does for a while. */
      const answered = (...args: Parameters<SctpPeers['ask']>) =>
        until(`SCTP is answered at ${args[1]}`, () => sctp.ask(...args), {
          accept: (lines) => !lines.includes('nobody'),
        });
      const [direct] = await answered(peers.outside, swarm.host('h2').address, 3870, 1);
      assert.equal(direct, `h2 ${outside()}`, 'by one host');
      await swarm.create('caller', '--network', 'calls', ...places.slice(0, 2), image);
      const [caller] = await swarm.running('caller');
      assert.ok(caller);
      const [own] = [...(await addressesOf(swarm, 'caller', 'calls')).values()].flat();
      const { Id } = await swarm.manager.api<{ Id: string }>('GET', '/networks/calls');
      const { Endpoint } = await swarm.manager.api<WireService>('GET', '/services/calls');
      const vip = Endpoint.VirtualIPs.find(({ NetworkID }) => NetworkID === Id)?.Addr ?? '';
      const lines = await answered(peers.inTask(swarm, caller), vip.split('/')[0] ?? '', 3869, 24);
      assert.deepEqual(lines, [`h1 ${own}`, `h2 ${own}`], 'by the virtual address');
    } finally {
      for (const name of ['calls', 'caller']) await swarm.manager.cliResult('service', 'rm', name);
      await removeNetwork('calls');
    }
  });

  it('are refused at once where no task runs, and after the service is gone', async () => {
    const swarm = get();
    const said = () =>
      peers.ask(peers.outside, swarm.host('h3').address, port.tcp).then(
        () => 'answered',
        (error: Error & { code?: string }) => error.code,
      );
    await swarm.cli('service', 'scale', '--detach', 'peer=0');
    const refused = { accept: (code?: string) => code === 'ECONNREFUSED', timeoutMs: 60_000 };
    await until('nobody answers', said, refused);
    await swarm.cli('service', 'rm', 'peer');
    for (const host of swarm.hosts) {
      await until(
        `${host.name} has no published port`,
        () => host.exec(['nft', 'list', 'set', 'inet', 'ts_swarm_mesh', 'published']),
        { accept: (set) => !set.includes('elements') },
      );
    }
  });

  it('leave ports of single hosts alone, and are kept from them', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'peer:1');
    const mode = (number: number) => ['--publish', `mode=host,published=${number},target=80`];
    const place = ['--constraint', 'node.hostname==h3', ...namedBySlot];
    await swarm.create('own', ...mode(8090), ...place, image);
    const h3 = swarm.host('h3');
    // Those of IPv6 are carried to the task, which has IPv4 alone there.
    for (const [place, address] of [
      [peers.outside, h3.address],
      [peers.onHost(swarm.host('h1')), v6(3)],
      [peers.onHost(h3), '127.0.0.1'],
      [peers.onHost(h3), '::1'],
    ] as const) {
      await until(
        `the port of h3 is answered at ${address}`,
        () => peers.seenBy(place, address, 8090, 1).catch(String),
        { accept: (seen) => String(seen).startsWith('own.1 '), timeoutMs: 60_000 },
      );
    }
    await assert.rejects(
      swarm.createDetached('taken', ...mode(port.tcp), ...place, image),
      /port '8080' is already in use by service 'peer'/,
    );
  });
});
