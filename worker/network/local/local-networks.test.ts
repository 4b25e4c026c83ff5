import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packet from 'dns-packet';
import { realClock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRandom } from '../../../lib/random.ts';
import { networkSpec } from '../../../types/index.ts';
import { setUpContainerNamespace } from '../container-interfaces.ts';
import { Namespaces } from '../namespace.ts';
import { NetlinkSockets } from '../netlink-sockets.ts';
import type { AttachedContainer } from '../part.ts';
import { Resolver } from '../resolver/index.ts';
import { NetworkTables } from '../tables.ts';
import { runIn } from '../testing/hosts.ts';
import { LocalNetworks } from './index.ts';

/** A host with one link outwards, to a machine that knows of no network of the host's. */
class Host implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'local-networks-'));
  readonly namespaces = new Namespaces(join(this.folder, 'netns'), setUpContainerNamespace);
  readonly sockets = new NetlinkSockets();
  resolver: Resolver;
  networks: LocalNetworks;

  constructor() {
    this.namespaces.prepare();
    const [host, outside] = [this.namespaces.create('host'), this.namespaces.create('outside')];
    runIn(host, 'ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'out0');
    runIn(host, 'ip', 'link', 'set', 'out0', 'netns', outside);
    runIn(host, 'ip', 'address', 'add', '192.0.2.1/24', 'dev', 'up0');
    runIn(host, 'ip', 'link', 'set', 'up0', 'up');
    runIn(outside, 'ip', 'address', 'add', '192.0.2.2/24', 'dev', 'out0');
    runIn(outside, 'ip', 'link', 'set', 'out0', 'up');
    [this.resolver, this.networks] = this.#open();
  }

  get path(): string {
    return this.namespaces.path('host');
  }

  async restart(): Promise<void> {
    await this.resolver[Symbol.asyncDispose]();
    await this.networks[Symbol.asyncDispose]();
    [this.resolver, this.networks] = this.#open();
    await this.networks.start();
  }

  #open(): [Resolver, LocalNetworks] {
    const deps = { clock: realClock, random: systemRandom, log: silentLogger };
    const names = {
      changed: (delta: Parameters<Resolver['changed']>[0]) => resolver.changed(delta),
    };
    const networks = new LocalNetworks(
      { dataRoot: this.folder, netnsPath: this.path, otherBridges: ['ts-swarm0'] },
      { sockets: this.sockets, names, ...deps },
    );
    const tables = new NetworkTables();
    const resolver = new Resolver({ nameservers: [] }, { tables, local: networks.tables, ...deps });
    return [resolver, networks];
  }

  async create(document: object): Promise<string> {
    const spec = networkSpec.decode({ Driver: 'bridge', ...document }, 'body');
    return (await this.networks.create(spec)).id;
  }

  async attach(id: string, ...networkIds: readonly string[]): Promise<AttachedContainer> {
    const container = {
      id,
      netnsPath: this.namespaces.create(id),
      networks: networkIds.map((networkId) => ({
        networkId,
        addresses: this.networks.reserve(networkId, id),
        aliases: [`name-of-${id}`],
      })),
    };
    await this.networks.attached(container);
    await this.resolver.attached(container);
    return container;
  }

  async detach(id: string): Promise<void> {
    await this.resolver.detached(id);
    await this.networks.detached(id);
    this.sockets.forget(this.namespaces.path(id));
    this.namespaces.remove(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resolver[Symbol.asyncDispose]();
    await this.networks[Symbol.asyncDispose]();
    this.sockets[Symbol.dispose]();
    this.namespaces.clear();
    rmSync(this.folder, { recursive: true });
  }
}

/** A machine that is busy is waited for where an answer is expected. */
function reaches(from: AttachedContainer, address: string, seconds = 5): boolean {
  try {
    runIn(from.netnsPath, 'busybox', 'ping', '-c1', `-W${seconds}`, address);
    return true;
  } catch {
    return false;
  }
}

function addressOf({ networks }: AttachedContainer, index = 0, family = 0): string {
  return networks[index]?.addresses[family]?.split('/')[0] ?? '';
}

describe('networks of one node, in the kernel', function () {
  let host: Host;

  beforeEach(async function () {
    if (process.getuid?.() !== 0) this.skip();
    host = new Host();
    await host.networks.start();
  });
  afterEach(async () => {
    await host?.[Symbol.asyncDispose]();
  });

  it('connect their containers to each other and, by the host’s address, to the outside', async () => {
    const net = await host.create({ Name: 'net', EnableIPv6: true });
    const [a, b] = [await host.attach('a', net), await host.attach('b', net)];
    assert.ok(reaches(a, addressOf(b)));
    assert.ok(reaches(a, addressOf(b, 0, 1)), 'over IPv6');
    assert.ok(reaches(a, '192.0.2.2'), 'the machine outside has no route to the network');
  });

  it('connect their containers by IPv6 alone where they have nothing else', async () => {
    const net = await host.create({ Name: 'net', EnableIPv4: false, EnableIPv6: true });
    const [a, b] = [await host.attach('a', net), await host.attach('b', net)];
    assert.match(addressOf(b), /^fd/);
    assert.ok(reaches(a, addressOf(b)));
    assert.equal(runIn(a.netnsPath, 'ip', '-4', 'address', 'show', 'eth0'), '');
    assert.match(runIn(a.netnsPath, 'ip', '-6', 'route', 'show', 'default'), /^default via fd/);
    assert.deepEqual(await host.networks.audit(), []);
    const both = await host.create({ Name: 'both' });
    const c = await host.attach('c', net, both);
    assert.match(runIn(c.netnsPath, 'ip', 'route', 'show', 'default'), /dev eth1/);
    assert.match(runIn(c.netnsPath, 'ip', '-6', 'route', 'show', 'default'), /dev eth0/);
  });

  it('are apart from each other', async () => {
    const [one, two] = [await host.create({ Name: 'one' }), await host.create({ Name: 'two' })];
    const [a, b] = [await host.attach('a', one), await host.attach('b', two)];
    assert.equal(reaches(a, addressOf(b), 1), false);
    const both = await host.attach('both', one, two);
    assert.ok(reaches(both, addressOf(a)) && reaches(both, addressOf(b)));
  });

  it('have no way out where they are internal', async () => {
    const net = await host.create({ Name: 'net', Internal: true });
    const [a, b] = [await host.attach('a', net), await host.attach('b', net)];
    assert.ok(reaches(a, addressOf(b)));
    assert.equal(reaches(a, '192.0.2.2', 1), false);
    assert.match(
      runIn(a.netnsPath, 'ip', 'route'),
      /^172\.18\.0\.0\/16 [^\n]*\n$/,
      'no default route',
    );
    runIn(a.netnsPath, 'ip', 'route', 'add', 'default', 'via', '172.18.0.1');
    assert.equal(reaches(a, '192.0.2.2', 1), false, 'nor by a route of the container’s own');
  });

  it('answer names of their containers', async () => {
    const net = await host.create({ Name: 'net' });
    const [a, b] = [await host.attach('a', net), await host.attach('b', net)];
    const ask = (name: string, type: string) => {
      const query = packet.encode({ type: 'query', questions: [{ type, name } as never] });
      const answer = host.resolver.answer(a, query, 'udp');
      assert.ok(Buffer.isBuffer(answer));
      return packet.decode(answer).answers?.map((record) => 'data' in record && record.data);
    };
    assert.deepEqual(ask('name-of-b', 'A'), [addressOf(b)]);
    const reverse = addressOf(b).split('.').toReversed().join('.');
    assert.deepEqual(ask(`${reverse}.in-addr.arpa`, 'PTR'), ['name-of-b.net']);
    await host.detach('b');
    const gone = await host.resolver.answer(
      a,
      packet.encode({ type: 'query', questions: [{ type: 'A', name: 'name-of-b' }] }),
      'udp',
    );
    assert.ok(gone);
    assert.deepEqual(packet.decode(gone).answers, []);
    assert.deepEqual(await host.resolver.audit(), []);
  });

  it('share a link of the host with macvlan', async () => {
    const Options = { parent: 'up0' };
    const net = await host.create({
      Name: 'net',
      Driver: 'macvlan',
      Options,
      IPAM: {
        Config: [{ Subnet: '192.0.2.0/24', Gateway: '192.0.2.254', IPRange: '192.0.2.64/26' }],
      },
    });
    const a = await host.attach('a', net);
    assert.ok(reaches(a, '192.0.2.2'), addressOf(a));
    assert.match(runIn(a.netnsPath, 'ip', 'route'), /default via 192\.0\.2\.254/);
    assert.deepEqual(await host.networks.audit(), []);
    runIn(a.netnsPath, 'ip', 'link', 'delete', 'eth0');
    assert.equal((await host.networks.audit()).length, 1);
    assert.ok(reaches(a, '192.0.2.2'));
    await assert.rejects(host.create({ Name: 'x', Driver: 'macvlan', Options }), {
      message: 'network net is already using parent interface up0',
    });
  });

  it('make a link with a VLAN tag, and take it away', async function () {
    const create = () =>
      host.create({ Name: 'tagged', Driver: 'macvlan', Options: { parent: 'up0.7' } });
    try {
      runIn(host.path, 'ip', 'link', 'add', 'link', 'up0', 'up0.9', 'type', 'vlan', 'id', '9');
    } catch {
      await assert.rejects(create(), /the kernel does not offer links of the kind vlan/);
      this.skip();
    }
    const tagged = await create();
    assert.match(
      runIn(host.path, 'ip', '-d', 'link', 'show', 'up0.7'),
      /vlan protocol 802.1Q id 7/,
    );
    await host.networks.remove(tagged);
    assert.doesNotMatch(runIn(host.path, 'ip', 'link'), /up0\.7/);
  });

  it('make a link that leads nowhere, and take it away', async () => {
    const alone = await host.create({ Name: 'alone', Driver: 'macvlan' });
    const [a, b] = [await host.attach('a', alone), await host.attach('b', alone)];
    assert.ok(reaches(a, addressOf(b)));
    for (const id of ['a', 'b']) await host.detach(id);
    await host.networks.remove(alone);
    assert.doesNotMatch(runIn(host.path, 'ip', 'link'), /dm-/);
    await assert.rejects(
      host.create({ Name: 'lost', Driver: 'macvlan', Options: { parent: 'eth9' } }),
      /parent link eth9 does not exist/,
    );
    assert.deepEqual(host.networks.list(), []);
  });

  it('are not removed while a container is on them, and leave nothing behind', async () => {
    const before = runIn(host.path, 'ip', '-o', 'link');
    const net = await host.create({ Name: 'net' });
    await host.attach('a', net);
    await assert.rejects(
      host.networks.remove(net),
      (error) => error instanceof SwarmError && error.code === 'failed-precondition',
    );
    await host.networks.detached('a', net);
    await host.networks.remove(net);
    assert.equal(runIn(host.path, 'ip', '-o', 'link'), before);
    assert.equal(runIn(host.path, 'nft', 'list', 'ruleset'), '');
    await host.restart();
    assert.deepEqual(host.networks.list(), []);
  });

  it('are taken up again by the next daemon, without a lost packet', async () => {
    const net = await host.create({ Name: 'net' });
    const [a, b] = [await host.attach('a', net), await host.attach('b', net)];
    await host.restart();
    assert.equal(host.networks.get('net')?.id, net);
    for (const container of [a, b]) await host.networks.attached(container);
    assert.deepEqual(await host.networks.audit(), []);
    assert.ok(reaches(a, addressOf(b)));
    const c = await host.attach('c', net);
    assert.ok(![addressOf(a), addressOf(b)].includes(addressOf(c)));
  });

  it('put right what others have damaged', async () => {
    const net = await host.create({ Name: 'net' });
    const [a, b] = [await host.attach('a', net), await host.attach('b', net)];
    const bridge = `br-${net.slice(0, 12)}`;
    const damages: (() => void)[] = [
      () => runIn(a.netnsPath, 'ip', 'link', 'delete', 'eth0'),
      () => runIn(host.path, 'nft', 'delete', 'table', 'inet', 'ts_swarm_local'),
      () => runIn(host.path, 'ip', 'address', 'flush', 'dev', bridge),
      () => runIn(host.path, 'ip', 'link', 'set', bridge, 'down'),
      () => runIn(host.path, 'ip', 'link', 'delete', bridge),
    ];
    for (const [index, damage] of damages.entries()) {
      damage();
      assert.ok((await host.networks.audit()).length > 0, `damage ${index}`);
      assert.deepEqual(await host.networks.audit(), [], `after damage ${index}`);
      assert.ok(reaches(a, addressOf(b)) && reaches(a, '192.0.2.2'), `damage ${index}`);
    }
  });

  it('let a container go from one of them', async () => {
    const [one, two] = [await host.create({ Name: 'one' }), await host.create({ Name: 'two' })];
    const a = await host.attach('a', one, two);
    await host.networks.detached('a', two);
    assert.doesNotMatch(runIn(a.netnsPath, 'ip', 'link'), /eth1/);
    assert.equal(host.networks.users(two).size, 0);
    assert.equal(host.networks.users(one).size, 1);
  });
});
