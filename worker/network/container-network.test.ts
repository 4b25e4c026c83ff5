import { strict as assert } from 'node:assert';
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { realClock, VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { networkSpec, type PortConfig } from '../../types/index.ts';
import type { ContainerNetwork } from './container-network.ts';
import { createNetwork } from './create.ts';
import { gatewayBridgeName } from './gateway-bridge.ts';
import { Netlink } from './netlink.ts';
import { setNetworkNamespace, unshareNetwork } from './syscalls.ts';

/** The whole suite runs in a network namespace of its own: the host's links are never touched. */
describe('bridge network on the real kernel', function () {
  let home: number;
  let runRoot: string;
  let network: ContainerNetwork;
  const children: ChildProcess[] = [];

  let clock: VirtualClock;
  const open = async () => {
    clock = new VirtualClock();
    const opened = createNetwork(
      { runRoot, dataRoot: runRoot },
      { clock, random: seededRandom(1), log: silentLogger },
    );
    await opened.start();
    return opened;
  };
  const inside = (path: string, ...command: string[]) =>
    execFileSync('nsenter', [`--net=${path}`, ...command], { encoding: 'utf8', timeout: 60_000 });
  const serve = async (path: string, port: number) => {
    const child = spawn(
      'nsenter',
      [`--net=${path}`, 'busybox', 'httpd', '-f', '-p', String(port), '-h', runRoot],
      { stdio: 'ignore' },
    );
    children.push(child);
    for (let tries = 0; tries < 3000; tries++) {
      const listening = inside(path, 'ss', '-ltnH').includes(`:${port}`);
      if (listening) return;
      await realClock.sleep(20);
    }
    throw new Error('the server did not start');
  };
  const bridge = (containerId: string, ports: readonly PortConfig[] = []) =>
    network.attach({ containerId, mode: 'bridge', ports });

  before(() => {
    home = openSync('/proc/thread-self/ns/net', 'r');
    unshareNetwork();
    using netlink = new Netlink();
    netlink.setUp(netlink.link('lo')?.index ?? 0);
  });

  beforeEach(async () => {
    runRoot = mkdtempSync(join(tmpdir(), 'ts-swarm-network-'));
    network = await open();
  });

  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await network.clear();
    await network[Symbol.asyncDispose]();
    rmSync(runRoot, { recursive: true });
  });

  after(() => {
    setNetworkNamespace(home);
    closeSync(home);
  });

  it('lets containers reach each other and the gateway', async () => {
    const a = await bridge('a');
    const b = await bridge('b');
    const address = b.addresses[0]?.split('/')[0] ?? '';
    assert.match(
      inside(a.netnsPath, 'busybox', 'ping', '-c1', '-W20', address),
      /1 packets received/,
    );
    assert.match(
      inside(a.netnsPath, 'busybox', 'ping', '-c1', '-W20', a.gateway ?? ''),
      /1 packets received/,
    );
  });

  it('keeps the gateway at one hardware address while containers come and go', async () => {
    const gatewayMac = () => {
      using netlink = new Netlink();
      return netlink.link(gatewayBridgeName)?.mac;
    };
    const mac = gatewayMac();
    for (let round = 0; round < 8; round++) {
      await bridge(`c${round}`);
      assert.equal(gatewayMac(), mac);
    }
    for (let round = 0; round < 8; round++) await network.detach(`c${round}`);
    assert.equal(gatewayMac(), mac);
    execFileSync('ip', ['link', 'set', gatewayBridgeName, 'address', '02:00:00:00:00:09']);
    assert.deepEqual(await network.audit(), [
      { kind: 'link', what: `the hardware address of ${gatewayBridgeName}` },
    ]);
    assert.equal(gatewayMac(), mac);
  });

  it('publishes a host-mode port on this host, also on localhost', async () => {
    const web = await bridge('web', [
      { protocol: 'tcp', targetPort: 80, publishedPort: 8080, publishMode: 'host' },
    ]);
    await serve(web.netnsPath, 80);
    assert.equal(await statusOf('http://127.0.0.1:8080/none'), 404);
    assert.equal(await statusOf('http://[::1]:8080/none'), 404);
    assert.equal(await statusOf(`http://${web.gateway}:8080/none`), 404);
    const other = await bridge('other');
    // The container itself may ask as well, also where bridges hand packets to netfilter.
    for (const { netnsPath } of [other, web]) {
      const url = `http://${web.gateway}:8080/none`;
      const ask = `timeout 60 busybox wget -q -O- ${url} 2>&1 || true`;
      assert.match(inside(netnsPath, 'sh', '-c', ask), /404/);
    }
  });

  it('keeps nothing of a container for the sake of a peer that is gone', async () => {
    const ports = () => {
      using netlink = new Netlink();
      const index = netlink.link(gatewayBridgeName)?.index;
      return netlink.links().filter(({ master }) => master === index).length;
    };
    const portsAre = async (wanted: number) => {
      for (let tries = 0; ports() !== wanted; tries++) {
        assert.ok(tries < 3000, `${ports()} ports of the bridge, not ${wanted}`);
        await realClock.sleep(20);
      }
    };
    const server = await bridge('server');
    const client = await bridge('client');
    const address = server.addresses[0]?.split('/')[0] ?? '';
    const command = ['busybox', 'nc', '-l', '-p', '80', '-e', 'busybox', 'cat', '/dev/zero'];
    const child = spawn('nsenter', [`--net=${server.netnsPath}`, ...command], { stdio: 'ignore' });
    children.push(child);
    while (!inside(server.netnsPath, 'ss', '-ltnH').includes(':80')) await realClock.sleep(20);
    // It takes nothing: what is sent to it stays with the kernel of the server.
    const taker = ['-c', `exec 3<>/dev/tcp/${address}/80; sleep 600`];
    const asker = spawn('nsenter', [`--net=${client.netnsPath}`, 'bash', ...taker]);
    children.push(asker);
    const queued = () => inside(server.netnsPath, 'ss', '-tnH', 'state', 'established');
    while (!/^\d+\s+[1-9]/m.test(queued())) await realClock.sleep(20);
    inside(client.netnsPath, 'ip', 'link', 'set', 'eth0', 'down');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await network.detach('server');
    // The client's, and that of the server's namespace.
    assert.equal(ports(), 2);
    clock.advance(3_000);
    await portsAre(1);
  });

  it('chooses a port where none is asked for', async () => {
    const { ports } = await bridge('web', [
      { protocol: 'tcp', targetPort: 80, publishMode: 'host' },
    ]);
    assert.equal(ports[0]?.publishedPort, 30_000);
  });

  it('refuses a port that another container or program has, naming it', async () => {
    const port: PortConfig = {
      protocol: 'tcp',
      targetPort: 80,
      publishedPort: 8080,
      publishMode: 'host',
    };
    await bridge('first', [port]);
    await assert.rejects(bridge('second', [port]), (error) => {
      assert.ok(error instanceof SwarmError);
      assert.equal(error.code, 'already-exists');
      assert.match(error.message, /port 8080\/tcp .* published by first/);
      return true;
    });
    const program = createServer().listen(9090, '0.0.0.0');
    await once(program, 'listening');
    await assert.rejects(
      bridge('third', [{ ...port, publishedPort: 9090 }]),
      /port 9090\/tcp .* in use by another program/,
    );
    // Where any will do, it is another than those that somebody has.
    const taken = createServer().listen(30_000, '0.0.0.0');
    await once(taken, 'listening');
    const chosen = await bridge('third', [
      { protocol: 'tcp', targetPort: 80, publishMode: 'host' },
    ]);
    assert.equal(chosen.ports[0]?.publishedPort, 30_001);
    taken.close();
    program.close();
    await network.detach('first');
    await bridge('second', [port]);
  });

  it('gives the same attachment when asked again, also after a restart', async () => {
    const port: PortConfig = {
      protocol: 'tcp',
      targetPort: 80,
      publishedPort: 8080,
      publishMode: 'host',
    };
    const first = await bridge('web', [port]);
    assert.deepEqual(await bridge('web', [port]), first);
    await network[Symbol.asyncDispose]();
    network = await open();
    assert.deepEqual(await bridge('web', [port]), first);
    await serve(first.netnsPath, 80);
    assert.equal(await statusOf('http://127.0.0.1:8080/none'), 404);
  });

  it('frees what belongs to nobody', async () => {
    await bridge('kept');
    await bridge('gone', [
      { protocol: 'udp', targetPort: 53, publishedPort: 5353, publishMode: 'host' },
    ]);
    await network.retain(new Set(['kept']));
    assert.deepEqual(readdirSync(join(runRoot, 'netns')), ['kept']);
    assert.doesNotMatch(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }), /5353/);
  });

  it('attaches many at once, each to an address of its own', async () => {
    const ids = Array.from({ length: 30 }, (_, index) => `c${index}`);
    const attached = await Promise.all(ids.map((id) => bridge(id)));
    assert.equal(new Set(attached.flatMap((one) => one.addresses)).size, ids.length);
    await network.retain(new Set());
    assert.deepEqual(readdirSync(join(runRoot, 'netns')), []);
  });

  it('makes namespaces in advance, and uses each for one container', async () => {
    const pins = () => readdirSync(join(runRoot, 'netns')).sort();
    const spares = () => pins().filter((name) => name.startsWith('.spare-'));
    await network[Symbol.asyncDispose]();
    const clock = new VirtualClock();
    network = createNetwork(
      { runRoot, dataRoot: runRoot },
      { clock, random: seededRandom(1), log: silentLogger },
    );
    await network.start();
    clock.advance(249);
    assert.deepEqual(spares(), []);
    clock.advance(1000);
    assert.equal(spares().length, 24);
    const [one, other] = await Promise.all([bridge('one'), bridge('other')]);
    assert.equal(spares().length, 22);
    for (const { netnsPath, addresses } of [one, other]) {
      const links = inside(netnsPath, 'ip', '-br', 'address');
      assert.match(links, /^lo +UNKNOWN +127\.0\.0\.1/m);
      assert.ok(links.includes(addresses[0] ?? '?'));
    }
    assert.notEqual(statSync(one.netnsPath).ino, statSync(other.netnsPath).ino);
    await network.retain(new Set(['one']));
    assert.equal(spares().length, 22, 'they belong to us');
    const killed = network;
    network = await open();
    assert.deepEqual(pins(), ['one'], 'those of a daemon that was killed go');
    await killed[Symbol.asyncDispose]();
    assert.deepEqual(await bridge('one'), one);
  });

  it('puts containers on networks of this node, and takes them up again', async () => {
    const spec = networkSpec.decode({ Name: 'own', Driver: 'bridge' }, 'spec');
    const { id } = await network.local.create(spec);
    const join = (containerId: string) =>
      network.attach({
        containerId,
        mode: 'bridge',
        networks: [{ networkId: id, addresses: [], aliases: [`name-of-${containerId}`] }],
        ports: [],
      });
    const [a, b] = [await join('a'), await join('b')];
    assert.equal(a.resolver, '127.0.0.11');
    // This process itself answers, so that it must not wait for the question to end.
    const { stdout } = await promisify(execFile)('nsenter', [
      `--net=${a.netnsPath}`,
      'busybox',
      'nslookup',
      'name-of-b',
      '127.0.0.11',
    ]);
    assert.match(stdout, new RegExp(`Address: ${b.addresses[0]?.split('/')[0]}`));
    assert.doesNotMatch(inside(a.netnsPath, 'ip', '-br', 'link'), /eth1/, 'and on no other');
    await network[Symbol.asyncDispose]();
    network = await open();
    await network.retain(new Set(['a', 'b']));
    assert.deepEqual(await join('a'), a);
    const address = b.addresses[0]?.split('/')[0] ?? '';
    assert.match(
      inside(a.netnsPath, 'busybox', 'ping', '-c1', '-W5', address),
      /1 packets received/,
    );
    assert.deepEqual(await network.audit(), []);
    for (const containerId of ['a', 'b']) await network.detach(containerId);
    await network.local.remove(id);
  });

  it('changes the networks of a container that runs, and keeps what is to stay', async () => {
    const spec = networkSpec.decode({ Name: 'own', Driver: 'bridge' }, '');
    const { id: networkId } = await network.local.create(spec);
    const on = { networkId, addresses: [] };
    const before = await bridge('a');
    const names = (path: string) =>
      inside(path, 'ip', '-br', 'link')
        .split('\n')
        .flatMap((line) => /^eth\d+/.exec(line)?.[0] ?? []);
    const change = (more: object) =>
      network.change({ containerId: 'a', mode: 'bridge', ports: [], ...more });
    const both = await change({ networks: [on], isOnBridge: true });
    assert.deepEqual(
      [both.bridgeAddress, both.waysOut?.[0], names(both.netnsPath)],
      [before.bridgeAddress, before.bridgeAddress, ['eth0', 'eth1']],
    );
    const alone = await change({ networks: [on] });
    assert.deepEqual([alone.bridgeAddress, alone.waysOut], [undefined, [both.addresses[0]]]);
    assert.deepEqual(names(alone.netnsPath), ['eth1']);
    const route = () => inside(alone.netnsPath, 'ip', 'route', 'show', 'default');
    assert.match(route(), new RegExp(`via ${alone.gateway} dev eth1`));
    assert.deepEqual(await network.audit(), []);
    const again = await change({ networks: [on], isOnBridge: true });
    assert.match(route(), new RegExp(`via ${again.gateway} dev eth0`));
    const nothing = await network.change({ containerId: 'a', mode: 'none', ports: [] });
    assert.deepEqual([nothing.addresses, names(nothing.netnsPath)], [[], []]);
    assert.equal(network.local.users(networkId).size, 0);
    assert.deepEqual(await network.audit(), []);
    await assert.rejects(
      network.change({ containerId: 'b', mode: 'bridge', networks: [], ports: [] }),
      /container b is on no network/,
    );
  });

  it('puts right what somebody has damaged', async () => {
    const port: PortConfig = {
      protocol: 'tcp',
      targetPort: 80,
      publishedPort: 8080,
      publishMode: 'host',
    };
    const web = await bridge('web', [port]);
    await serve(web.netnsPath, 80);
    await network.retain(new Set(['web']));
    const here = (...command: string[]) => execFileSync(command[0]!, command.slice(1));
    const damages: readonly { kinds: readonly string[]; damage: () => unknown }[] = [
      { kinds: [], damage: () => undefined },
      { kinds: ['nft'], damage: () => here('nft', 'flush', 'table', 'ip', 'ts_swarm') },
      { kinds: ['nft'], damage: () => here('nft', 'delete', 'table', 'ip', 'ts_swarm') },
      { kinds: ['nft'], damage: () => here('nft', 'flush', 'map', 'ip', 'ts_swarm', 'tcp_ports') },
      { kinds: ['link'], damage: () => inside(web.netnsPath, 'ip', 'link', 'del', 'eth0') },
      { kinds: ['route'], damage: () => inside(web.netnsPath, 'ip', 'route', 'del', 'default') },
      { kinds: ['namespace'], damage: () => here('umount', '-l', web.netnsPath) },
    ];
    for (const { kinds, damage } of damages) {
      damage();
      const found = await network.audit();
      assert.deepEqual([...new Set(found.map(({ kind }) => kind))], kinds);
      assert.equal(await statusOf('http://127.0.0.1:8080/none'), 404);
      assert.deepEqual(await network.audit(), []);
    }
    assert.deepEqual(Object.fromEntries(network.repairs), {
      nft: 3,
      link: 1,
      route: 1,
      namespace: 1,
    });
    // Ports that are let go although somebody has taken the table away.
    here('nft', 'delete', 'table', 'ip', 'ts_swarm');
    await network.detach('web');
    assert.deepEqual(await network.audit(), []);
  });

  it('puts right what the kernel tells of, and in time what it does not', async () => {
    const web = await bridge('web');
    await network.retain(new Set(['web']));
    /** An audit lets others have some turns in between. */
    const pass = async (ms: number) => {
      for (let passedMs = 0; passedMs < ms; passedMs += 1_000) {
        clock.advance(1_000);
        for (let turn = 0; turn < 30; turn++) await nextTurn();
      }
    };
    let dumps = 0;
    const dump = Object.getOwnPropertyDescriptor(Netlink.prototype, 'dump');
    assert.ok(dump?.value !== undefined);
    const original = dump.value as Netlink['dump'];
    Netlink.prototype.dump = function (this: Netlink, ...args) {
      dumps += 1;
      return original.apply(this, args);
    };
    try {
      await pass(20_000);
      dumps = 0;
      await pass(30_000);
      assert.equal(dumps, 0, 'nobody looks where nothing has changed');
      await pass(60_000);
      assert.ok(dumps > 0, 'but now and then');
    } finally {
      Object.defineProperty(Netlink.prototype, 'dump', dump);
    }
    const repairs = () => network.repairs.values().reduce((all, some) => all + some, 0);
    for (const command of ['ip link del eth0', 'ip route del default', 'ip address flush eth0']) {
      inside(web.netnsPath, ...command.split(' '));
      const before = repairs();
      await pass(10_000);
      assert.ok(repairs() > before, command);
      assert.match(inside(web.netnsPath, 'ip', 'route'), /default/, command);
    }
    execFileSync('umount', ['-l', web.netnsPath]);
    await pass(10_000);
    assert.equal(network.repairs.get('namespace'), 1);
  });

  it('gives a container without network a namespace with loopback only', async () => {
    const none = await network.attach({ containerId: 'alone', mode: 'none', ports: [] });
    assert.deepEqual(none.addresses, []);
    assert.doesNotMatch(inside(none.netnsPath, 'ip', '-br', 'link'), /eth0/);
  });
});

function statusOf(url: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  get(url, { timeout: 60_000 }, (response) => {
    response.resume();
    resolve(response.statusCode);
  }).on('error', reject);
  return promise;
}
