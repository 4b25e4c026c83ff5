/** Overlay networks between hosts: who reaches whom by address, and what the node keeps right. */
import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { Lab, runResult, until, type Host } from '../lab/index.ts';
import type { Place } from '../wires/wires.ts';
import { Peers } from './network-peers.ts';
import { tablesAreRight, vipOf } from './network-tables.ts';
import { Sequence } from './sequence.ts';
import { imageOf, TestSwarm, useSwarm, type TaskView } from './swarm.ts';

interface WireTask {
  readonly ID: string;
  readonly Status: { readonly ContainerStatus?: { readonly ContainerID?: string } };
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly Spec: { readonly Name: string } };
    readonly Addresses?: readonly string[];
  }[];
}

interface WireService {
  readonly Endpoint?: { readonly VirtualIPs?: readonly { readonly Addr: string }[] };
}

/** A task and where it is on the network that the test is about. */
interface Member {
  readonly task: TaskView;
  readonly host: Host;
  readonly netns: string;
  readonly address: string;
}

/** Datagrams that sockets of these places had no room for, as their kernel counts them. */
function overflown(peers: Peers, places: readonly Place[]): number {
  const counts = places.map((place) => {
    const [names = '', values = ''] = peers
      .run(place, 'cat', '/proc/net/snmp')
      .split('\n')
      .filter((line) => line.startsWith('Udp: '));
    const at = names.split(' ').indexOf('RcvbufErrors');
    assert.ok(at > 0, names);
    return Number(values.split(' ')[at]);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

describe('overlay networks', () => {
  const get = useSwarm({ hosts: 4, images: ['web:1', 'sleeper:1', 'peer:1'] });

  // A daemon that takes its time on a busy machine is not to have its tasks moved.
  before(() => get().cli('swarm', 'update', '--dispatcher-heartbeat', '30s'));

  afterEach(async () => {
    for (const name of ['one', 'two', 'inner', 'dark', 'mixed', 'full']) {
      const { code } = await get().manager.cliResult('network', 'inspect', name);
      if (code !== 0) continue;
      await get().clear();
      await get().cli('network', 'rm', name);
    }
  });

  const members = async (
    swarm: TestSwarm,
    service: string,
    network: string,
    replicas: number,
  ): Promise<readonly Member[]> => {
    const tasks = await swarm.runs(service, replicas);
    const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
    const wire = await swarm.manager.api<WireTask[]>('GET', `/tasks?filters=${filters}`);
    return tasks.map((task) => {
      const found = wire.find(({ ID }) => ID === task.id);
      const attachment = found?.NetworksAttachments?.find(
        ({ Network }) => Network.Spec.Name === network,
      );
      const address = attachment?.Addresses?.[0]?.split('/')[0];
      assert.ok(address !== undefined, `task ${task.id} has an address on ${network}`);
      const host = swarm.host(task.host);
      const container = host.containers().find(({ id }) => id.endsWith(task.id));
      assert.ok(container !== undefined, `the container of task ${task.id} runs on ${task.host}`);
      return { task, host, address, netns: `${host.runRoot}/netns/${container.id}` };
    });
  };
  const inside = (member: Member, command: string) =>
    member.host.execResult(`nsenter --net=${member.netns} ${command}`);
  const reaches = async (from: Member, address: string) => {
    const { stdout } = await inside(from, `busybox ping -c1 -W2 ${address}`);
    return stdout.includes(' 0% packet loss');
  };
  /** Whether every one of the names answers a program in the container. */
  const askedInside = async (swarm: TestSwarm, task: TaskView, names: readonly string[]) => {
    const loop = `for name in ${names.join(' ')}; do wget -q -O - http://$name/; done`;
    const inside = ['nsenter', '-t', String(swarm.pidOf(task)), '-m', '-u', '-n', 'sh', '-c', loop];
    const { stdout } = await runResult(inside, { timeoutMs: 60_000 });
    return stdout.split('web:1 ').length - 1 === names.length;
  };
  const virtualAddresses = async (swarm: TestSwarm, service: string) => {
    const { Endpoint } = await swarm.manager.api<WireService>('GET', `/services/${service}`);
    return (Endpoint?.VirtualIPs ?? []).map(({ Addr }) => Addr.split('/')[0] ?? '');
  };
  /** A container runs a moment before its server listens. */
  const serving = (all: readonly Member[]) =>
    Promise.all(all.map((member) => until('it serves', () => fetched(member, member.address))));
  const fetched = async (from: Member, address: string, path = '/') => {
    const { stdout } = await inside(from, `curl -s -m 3 http://${address}${path}`);
    return stdout.trim();
  };

  /** The first answer. On a busy machine one may fail to come in time. */
  const heard = (from: Member, address: string) =>
    until(`${address} answers ${from.host.name}`, () => fetched(from, address));

  it('connect 12 tasks on 4 hosts, all pairs, by name, virtual address and address', async () => {
    const swarm = get();
    await swarm.cli('network', 'create', '--driver', 'overlay', 'one');
    await swarm.create('web', '--replicas', '12', '--network', 'one', imageOf(swarm, 'web:1'));
    const all = await members(swarm, 'web', 'one', 12);
    assert.equal(new Set(all.map(({ host }) => host.name)).size, 4);
    await serving(all);
    const [vip] = await virtualAddresses(swarm, 'web');
    assert.ok(vip !== undefined);
    const names = all.map(({ task }) => `web.${task.slot}.${task.id}`);
    const asked = [...all.map(({ address }) => address), ...names, 'web', 'tasks.web', vip];
    await Promise.all(
      all.map(({ task }) =>
        until(`task ${task.id} on ${task.host} reaches all`, () => askedInside(swarm, task, asked)),
      ),
    );
  });

  it('that are full say so of the tasks that wait, and give what comes free', async () => {
    const swarm = get();
    // For a virtual address and four tasks.
    const subnet = ['--subnet', '10.66.0.0/29'];
    await swarm.cli('network', 'create', '--driver', 'overlay', ...subnet, 'full');
    const image = imageOf(swarm, 'sleeper:1');
    await swarm.create('first', '--replicas', '3', '--network', 'full', image);
    const dnsrr = ['--endpoint-mode', 'dnsrr', '--network', 'full'];
    await swarm.createDetached('second', '--replicas', '3', ...dnsrr, image);
    const says = /no free address on network full \(10\.66\.0\.0\/29\): all 5 addresses are in use/;
    await until('ps says why', () => swarm.cli('service', 'ps', '--no-trunc', 'second'), {
      accept: (text) => says.test(text),
      timeoutMs: 60_000,
    });
    await swarm.cli('service', 'scale', '-d', 'first=1');
    await swarm.runs('second', 3);
    assert.doesNotMatch(await swarm.cli('service', 'ps', '--no-trunc', 'second'), says);
  });

  it('with the same subnet are apart from each other', async () => {
    const swarm = get();
    const subnet = ['--subnet', '10.99.0.0/29'];
    await swarm.cli('network', 'create', '--driver', 'overlay', ...subnet, 'one');
    await swarm.cli('network', 'create', '--driver', 'overlay', ...subnet, 'two');
    const image = imageOf(swarm, 'web:1');
    const env = (value: string) => ['--env', `GREETING=${value}`];
    await swarm.create('a', '--replicas', '4', '--network', 'one', ...env('one'), image);
    await swarm.create('b', '--replicas', '4', '--network', 'two', ...env('two'), image);
    const [a, b] = [await members(swarm, 'a', 'one', 4), await members(swarm, 'b', 'two', 4)];
    await serving([...a, ...b]);
    const shared = a.filter(({ address }) => b.some((other) => other.address === address));
    assert.ok(shared.length > 0, 'the same addresses are given out on both');
    for (const { group, name } of [
      { group: a, name: 'one' },
      { group: b, name: 'two' },
    ]) {
      for (const from of group) {
        for (const to of group) assert.match(await heard(from, to.address), new RegExp(`${name}$`));
      }
    }
  });

  it('that are internal have no way out', async () => {
    const swarm = get();
    await swarm.cli('network', 'create', '--driver', 'overlay', '--internal', 'inner');
    await swarm.create('web', '--replicas', '4', '--network', 'inner', imageOf(swarm, 'web:1'));
    const all = await members(swarm, 'web', 'inner', 4);
    await serving(all);
    for (const from of all) {
      assert.match(await heard(from, all[0]!.address), /^web:1 /);
      assert.ok(!(await reaches(from, from.host.address)), 'its own host');
      assert.equal((await inside(from, 'ip route')).stdout.includes('default'), false);
    }
  });

  it('lose no packet while daemons end, by signal or crash, and come back', async () => {
    const swarm = get();
    await using peers = new Peers();
    await swarm.cli('network', 'create', '--driver', 'overlay', 'one');
    const flags = ['--replicas', '4', '--network', 'one', '--publish', '8053:53/udp'];
    await swarm.create('peer', ...flags, imageOf(swarm, 'peer:1'));
    const all = await members(swarm, 'peer', 'one', 4);
    const [h3, h4] = ['h3', 'h4'].map((name) => all.find(({ host }) => host.name === name)!);
    const vip = await vipOf(swarm, 'peer', 'one');
    const flow = (name: string, from: Place, host: string, port = 53) =>
      Sequence.start(name, peers.udp(from, 4), { host, port });
    await tablesAreRight(swarm);
    const flows = [h3!, h4!].flatMap((from, index) => {
      const [place, to] = [peers.inTask(swarm, from.task), index === 0 ? h4! : h3!];
      return [
        flow(`${from.host.name} to ${to.host.name}`, place, to.address),
        flow(`${from.host.name} to the virtual address`, place, vip),
        flow(
          `${from.host.name} to the port of h1`,
          peers.onHost(from.host),
          swarm.manager.address,
          8053,
        ),
        flow(`the port of ${from.host.name}`, peers.outside, from.host.address, 8053),
      ];
    });
    // Of daemons that come back the places are others.
    const places = () => [
      ...all.map(({ task }) => peers.inTask(swarm, task)),
      ...[h3!, h4!].map(({ host }) => peers.onHost(host)),
      peers.outside,
    ];
    const overflownBefore = overflown(peers, places());
    const goOn = () => Promise.all(flows.map((one) => one.goesOn(10)));
    await goOn();
    const endsAndReturns = async ({ host }: Member, ways: readonly ('kill' | 'stop')[]) => {
      for (const way of ways) {
        await (way === 'kill' ? host.killDaemon() : host.stopDaemon());
        await goOn();
        await host.startDaemon();
        await goOn();
      }
    };
    await Promise.all([
      endsAndReturns(h3!, ['kill', 'stop']),
      endsAndReturns(h4!, ['stop', 'kill']),
    ]);
    const outcomes = await Promise.all(flows.map((one) => one.stop()));
    const wrong = outcomes.flatMap((outcome) => outcome.wrong);
    const lost = outcomes.reduce((sum, outcome) => sum + outcome.lost, 0);
    // What came while a program had to wait for the processor for seconds, it was told of.
    const overflowing = overflown(peers, places()) - overflownBefore;
    if (lost > overflowing) assert.deepEqual(wrong, [], `${overflowing} had no room in a socket`);
    assert.deepEqual(await members(swarm, 'peer', 'one', 4), all, 'nothing was restarted');
  });

  it('work on without any daemon, and are adopted without managers', async () => {
    const swarm = get();
    await swarm.cli('network', 'create', '--driver', 'overlay', 'one');
    await swarm.create('web', '--replicas', '4', '--network', 'one', imageOf(swarm, 'web:1'));
    const all = await members(swarm, 'web', 'one', 4);
    const [h2, h3] = ['h2', 'h3'].map((name) => all.find(({ host }) => host.name === name)!);
    await swarm.manager.killDaemon();
    for (const { host } of [h2!, h3!]) {
      await host.killDaemon();
      await host.startDaemon();
    }
    await until('they reach each other', () => reaches(h2!, h3!.address));
    const damage = `nsenter --net=${h2!.netns} ip link del eth0`;
    await h2!.host.exec(damage);
    await until('the link is back', () => reaches(h2!, h3!.address), {
      accept: (back) => back,
    });
    await swarm.manager.startDaemon();
    await swarm.runs('web', 4);
  });

  it('are put right when somebody damages them', async () => {
    const swarm = get();
    await swarm.cli('network', 'create', '--driver', 'overlay', 'one');
    await swarm.create('web', '--replicas', '4', '--network', 'one', imageOf(swarm, 'web:1'));
    const all = await members(swarm, 'web', 'one', 4);
    const id = (await swarm.cli('network', 'inspect', '--format', '{{.Id}}', 'one')).trim();
    const memberOn = (name: string) => all.find(({ host }) => host.name === name)!;
    const unharmed = memberOn('h1');
    const suffer = async (from: Member, damages: readonly string[]) => {
      for (const damage of damages) {
        await from.host.execResult(damage);
        await until(
          `"${damage}" is put right on ${from.host.name}`,
          async () => [
            await reaches(from, unharmed.address),
            await reaches(from, unharmed.host.address),
          ],
          { accept: ([overlay, out]) => overlay === true && out === true },
        );
      }
    };
    const [h2, h3, h4] = [memberOn('h2'), memberOn('h3'), memberOn('h4')];
    const pin = (host: Host) => `${host.runRoot}/overlay/${id}`;
    const inContainer = `nsenter --net=${h2.netns}`;
    const inNetwork = `nsenter --net=${pin(h3.host)}`;
    // The hosts side by side: a node looks after its networks every five seconds.
    await Promise.all([
      suffer(h2, [
        `${inContainer} ip link del eth0`,
        `${inContainer} ip address flush dev eth0`,
        `${inContainer} ip link del eth1`,
      ]),
      suffer(h3, [
        `${inNetwork} ip link del vxlan0`,
        `${inNetwork} ip link del br0`,
        `for mac in $(${inNetwork} bridge fdb show dev vxlan0 | cut -d' ' -f1 | sort -u); do ` +
          `${inNetwork} bridge fdb del $mac dev vxlan0 self; done`,
      ]),
      suffer(h4, [`umount -l ${pin(h4.host)}`, `umount -l ${h4.netns}`, 'ip link del ts-swarm0']),
    ]);
    await swarm.runs('web', 4);
  });

  it('that are encrypted show nothing of what they carry', async () => {
    const swarm = get();
    const secret = 'nobody-is-to-read-this';
    const image = imageOf(swarm, 'web:1');
    const seenOn = async (network: string, ...flags: readonly string[]) => {
      await swarm.cli('network', 'create', '--driver', 'overlay', ...flags, network);
      const env = ['--env', `GREETING=${secret}`];
      await swarm.create(network, '--replicas', '4', '--network', network, ...env, image);
      const all = await members(swarm, network, network, 4);
      const [from, to] = [all[1]!, all[2]!];
      await heard(from, to.address);
      const file = `${to.host.runRoot}/${network}.pcap`;
      const dump = ['tcpdump', '--immediate-mode', '-q', '-U', '-i', 'eth0', '-w', file];
      const capture = await to.host.start('tcpdump', dump);
      await until('it captures', () => existsSync(file));
      assert.match(await heard(from, to.address), new RegExp(secret));
      assert.match(await heard(to, from.address), new RegExp(secret));
      // Packets are written in their order: once this is there, so are those before it.
      const end = 'this is the last of them';
      const [outside = ''] = swarm.lab.registry.address.split(':');
      const send = `import socket; socket.socket(2, 2).sendto(b"${end}", ("${outside}", 9))`;
      await until('packets are written', async () => {
        await to.host.exec(['python3', '-c', send]);
        return readFileSync(file).includes(end);
      });
      await capture.stop();
      const packets = readFileSync(file);
      assert.ok(packets.length > 2_000, 'there is something to be seen');
      return packets.includes(secret);
    };
    assert.equal(await seenOn('one'), true, 'what is not encrypted can be seen');
    assert.equal(await seenOn('dark', '--opt', 'encrypted'), false);
  });

  it('carry what fits on each link, where one is smaller', async () => {
    const swarm = get();
    const small = swarm.host('h4');
    await small.exec('ip link set eth0 mtu 1280');
    await swarm.cli('network', 'create', '--driver', 'overlay', 'mixed');
    const image = imageOf(swarm, 'web:1');
    await swarm.create('web', '--replicas', '4', '--network', 'mixed', image);
    const all = await members(swarm, 'web', 'mixed', 4);
    const size = statSync('/bin/busybox').size;
    const there = all.find(({ host }) => host === small)!;
    const here = all.find(({ host }) => host !== small)!;
    for (const [from, to] of [
      [here, there],
      [there, here],
    ] as const) {
      const files = ['busybox', 'httpd', '-f', '-p', '8000', '-h', '/bin'];
      const server = await to.host.start('files', ['nsenter', `--net=${to.netns}`, ...files]);
      await until('the files are served', async () => (await inside(to, 'ss -ltnH')).stdout, {
        accept: (listening) => listening.includes(':8000'),
      });
      const fetch = `sh -c 'curl -s -m 60 http://${to.address}:8000/busybox | wc -c'`;
      await until('the whole file comes', async () => (await inside(from, fetch)).stdout.trim(), {
        accept: (bytes) => bytes === String(size),
      });
      await server.stop();
    }
    await swarm.cli('network', 'create', '--driver', 'overlay', '--ipv6', 'two');
    const onSmall = ['--constraint', 'node.hostname==h4', '--restart-condition', 'none'];
    await swarm.createDetached('late', '--network', 'two', ...onSmall, image);
    const says = /network two cannot be had on this node: IPv6 needs packets of 1280 bytes/;
    await until('ps says why', () => swarm.cli('service', 'ps', '--no-trunc', 'late'), {
      accept: (text) => says.test(text),
      timeoutMs: 60_000,
    });
    await small.exec('ip link set eth0 mtu 1500');
  });

  it('carry 64 MB whole by a published port of a node whose link is smaller', async () => {
    const swarm = get();
    await using peers = new Peers();
    const small = swarm.host('h4');
    const flags = ['--publish', '8081:81', '--constraint', 'node.hostname!=h4'];
    await swarm.create('peer', ...flags, imageOf(swarm, 'peer:1'));
    await small.exec('ip link set eth0 mtu 1280');
    try {
      const { Id } = await swarm.manager.api<{ readonly Id: string }>('GET', '/networks/ingress');
      const shown = `nsenter --net=${small.runRoot}/overlay/${Id} ip link show br0`;
      await until('the network follows its device', () => small.exec(shown), {
        accept: (text) => text.includes('mtu 1230'),
        timeoutMs: 60_000,
      });
      const payload = randomBytes(64 * 1024 * 1024);
      const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
      const socket = await until('the port answers', () =>
        peers.connect(peers.outside, small.address, 8081, 60_000),
      );
      socket.end(payload);
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      const said = Buffer.concat(chunks);
      assert.equal(said.subarray(0, 64).toString(), digest(payload));
      assert.equal(digest(said.subarray(64)), digest(payload));
    } finally {
      await small.exec('ip link set eth0 mtu 1500');
    }
  });

  it('leave nothing behind when their services and they are removed', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    await swarm.cli('network', 'create', '--driver', 'overlay', 'one');
    for (let times = 0; times < 3; times++) {
      await swarm.create('web', '--replicas', '8', '--network', 'one', image);
      await swarm.clear();
    }
    await swarm.cli('network', 'rm', 'one');
    for (const host of swarm.hosts) {
      const look = `ls ${host.runRoot}/overlay | wc -l; ip -br link | grep -c veth || true`;
      const left = async () => (await host.exec(look)).trim();
      // That of published ports stays.
      await until(`nothing is left on ${host.name}`, left, { accept: (text) => text === '1\n0' });
    }
  });
});

describe('overlay networks with a data path of their own', () => {
  it('use the address and the port that are given for it', async () => {
    await using lab = await Lab.create({ hosts: 2 });
    const image = await lab.image('web:1');
    const [h1, h2] = [lab.host('h1'), lab.host('h2')];
    const dataAddr = (host: Host) => host.address.replace(/^10\.\d+/, '10.250');
    for (const host of [h1, h2]) {
      await host.exec(`ip address add ${dataAddr(host)}/24 dev eth0`);
      await host.startDaemon();
    }
    const common = (host: Host) => ['--data-path-addr', dataAddr(host), '--advertise-addr'];
    await h1.cli('swarm', 'init', ...common(h1), h1.address, '--data-path-port', '4999');
    const token = (await h1.cli('swarm', 'join-token', '-q', 'worker')).trim();
    await h2.cli('swarm', 'join', ...common(h2), h2.address, '--token', token, h1.address);
    const swarm = new TestSwarm(lab);
    await swarm.untilNodes('h1 ready, h2 ready');
    await swarm.cli('network', 'create', '--driver', 'overlay', 'one');
    await swarm.create('web', '--replicas', '2', '--network', 'one', image);
    for (const host of [h1, h2]) {
      const id = (await swarm.cli('network', 'inspect', '--format', '{{.Id}}', 'one')).trim();
      const inNetwork = `nsenter --net=${host.runRoot}/overlay/${id}`;
      const shown = async () =>
        (await host.exec(`${inNetwork} ip -d link show vxlan0; ${inNetwork} bridge fdb`)).trim();
      const told = await until('the other is known', shown, {
        accept: (text) => text.includes(`dst ${dataAddr(host === h1 ? h2 : h1)}`),
      });
      assert.match(told, new RegExp(`local ${dataAddr(host)} .*dstport 4999`));
    }
    for (const host of [h1, h2]) {
      await host.cli('swarm', 'leave', '--force');
      const look = `ls ${host.runRoot}/overlay; ls ${host.runRoot}/netns`;
      const left = async () => (await host.exec(look)).trim();
      await until(`nothing is left on ${host.name}`, left, { accept: (text) => text === '' });
    }
  });
});
