/** Virtual addresses of services: who answers, and whom the answering task sees. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { addressesOf, all, isIpv6, namedBySlot, Peers } from './network-peers.ts';
import { imageOf, useSwarm, type TaskView } from './swarm.ts';

interface WireService {
  readonly Endpoint?: {
    readonly VirtualIPs?: readonly { readonly NetworkID: string; readonly Addr: string }[];
  };
}

const replicas = 4;

describe('virtual addresses', () => {
  const get = useSwarm({ hosts: 3, images: ['peer:1', 'sleeper:1'] });
  let peers: Peers;

  before(() => {
    peers = new Peers();
  });
  after(() => peers[Symbol.asyncDispose]());
  beforeEach(async () => {
    const subnets = ['--subnet', '10.77.0.0/24', '--subnet', 'fd77::/64'];
    await get().cli('network', 'create', '-d', 'overlay', '--ipv6', ...subnets, 'both');
  });
  afterEach(async () => {
    await get().clear();
    await get().cli('network', 'rm', 'both');
  });

  const vipsOf = async (service: string) => {
    const swarm = get();
    const { Id } = await swarm.manager.api<{ Id: string }>('GET', '/networks/both');
    const { Endpoint } = await swarm.manager.api<WireService>('GET', `/services/${service}`);
    const vips = (Endpoint?.VirtualIPs ?? []).filter(({ NetworkID }) => NetworkID === Id);
    return vips.map(({ Addr }) => Addr.split('/')[0] ?? '').toSorted();
  };
  const start = async (count: number) => {
    const swarm = get();
    const flags = ['--network', 'both', '--replicas', String(count), ...namedBySlot];
    await swarm.create('peer', ...flags, imageOf(swarm, 'peer:1'));
    return swarm.runs('peer', count);
  };
  /** One on each host. */
  const clients = async (): Promise<readonly TaskView[]> => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    await swarm.create('client', '--mode', 'global', '--network', 'both', image);
    return swarm.running('client');
  };
  /** Nodes hear of a change a moment after the managers know it. */
  const answers = (client: TaskView, vip: string, expect: readonly string[]) =>
    until(
      `${vip} is answered as ${expect.join(', ')}`,
      () => peers.seenBy(peers.inTask(get(), client), vip, 80, 6 * expect.length),
      { accept: (seen) => seen.join() === expect.join(), timeoutMs: 60_000 },
    );

  it('lead to every task, which sees its client, by TCP, UDP and ping', async () => {
    const swarm = get();
    await start(replicas);
    const [v4 = '', v6 = ''] = await vipsOf('peer');
    assert.ok(!isIpv6(v4) && isIpv6(v6), `${v4} and ${v6}`);
    for (const client of await clients()) {
      const place = peers.inTask(swarm, client);
      const own = (await addressesOf(swarm, 'client', 'both')).get(client.id) ?? [];
      for (const vip of [v4, v6]) {
        const source = own.find((address) => isIpv6(address) === isIpv6(vip)) ?? '';
        const expected = all('peer', replicas, source);
        await answers(client, vip, expected);
        // So often that none is left out by chance.
        const byUdp = () => peers.seenByUdp(place, vip, 53, 15 * replicas);
        assert.deepEqual(await until(`UDP at ${vip}`, byUdp), expected);
        const ping = () => peers.runAside(place, 'busybox', 'ping', '-c1', '-W3', vip);
        assert.match(await until(`${vip} is pinged`, ping), /1 packets received/);
      }
    }
  });

  it('lead a task of the service to itself as well', async () => {
    const swarm = get();
    const [task] = await start(1);
    assert.ok(task);
    for (const vip of await vipsOf('peer')) {
      const own = (await addressesOf(swarm, 'peer', 'both')).get(task.id) ?? [];
      const source = own.find((address) => isIpv6(address) === isIpv6(vip)) ?? '';
      await answers(task, vip, all('peer', 1, source));
    }
  });

  it('refuse at once where no task runs', async () => {
    const swarm = get();
    await start(1);
    const [client] = await clients();
    assert.ok(client);
    const [v4 = ''] = await vipsOf('peer');
    const ask = () => peers.seenBy(peers.inTask(swarm, client), v4, 80, 1);
    assert.match((await until('somebody answers', ask)).join(), /^peer\.1 /);
    await swarm.cli('service', 'scale', '--detach', 'peer=0');
    await until(
      'the connection is refused',
      async () => {
        const asked = peers.ask(peers.inTask(swarm, client), v4, 80);
        return asked.then(
          () => 'answered',
          (error: Error & { code?: string }) => error.code,
        );
      },
      { accept: (code) => code === 'ECONNREFUSED', timeoutMs: 60_000 },
    );
  });

  it('let a UDP client move on with the socket it has', async () => {
    const swarm = get();
    await start(2);
    const [v4 = ''] = await vipsOf('peer');
    const peersNow = await swarm.running('peer');
    // Its node is drained: a client on the same one would go with it.
    const client = (await clients()).find(({ host }) => peersNow.every((one) => one.host !== host));
    assert.ok(client, 'two tasks leave one of three hosts free');
    const own = (await addressesOf(swarm, 'client', 'both')).get(client.id) ?? [];
    await answers(client, v4, all('peer', 2, own.find((address) => !isIpv6(address)) ?? ''));
    const socket = peers.udp(peers.inTask(swarm, client), 4);
    // An answer that comes too late for one question is taken for that to the next: it is the same.
    const ask = () => peers.askUdp(socket, v4, 53, 10_000);
    const first = await until('it is answered', ask);
    const slot = Number(/^peer\.(\d)/.exec(first)?.[1]);
    // The task that answered is the one that goes: a new one takes its slot elsewhere.
    const task = peersNow.find((one) => one.slot === slot);
    assert.ok(task);
    await swarm.cli('node', 'update', '--availability', 'drain', task.host);
    try {
      await swarm.untilTasks('the task moves', 'peer', (tasks) =>
        tasks.some((one) => one.id === task.id && one.state === 'shutdown'),
      );
      assert.match(await until('it is answered again', ask), /^peer\./);
    } finally {
      await swarm.cli('node', 'update', '--availability', 'active', task.host);
    }
  });
});
