import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../../test/lab/until.ts';
import { Load } from '../../../test/wires/load.ts';
import { Wires, type Place } from '../../../test/wires/wires.ts';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import type { AssignedEndpoint, NetworkAssignments } from '../../../types/index.ts';
import { Netfilter } from '../nft/index.ts';
import { listenPort, resolverAddress } from '../resolver/ports.ts';
import { NetworkTables } from '../tables.ts';
import { Balancer } from './balancer.ts';

const vip = { ip: '10.0.1.2', ip6: 'fd00:1::2' } as const;
const port = 8080;
/** The machine may be busy with other tests. */
const patienceMs = 60_000;
const refuseAll =
  'add table inet off; add chain inet off in { type filter hook input priority 0; }; ' +
  'add rule inet off in tcp flags syn reject with tcp reset';

/** One client and some backends on a bridge; the tables are what managers would say. */
class Bench implements AsyncDisposable {
  readonly wires = new Wires();
  readonly tables = new NetworkTables();
  readonly netfilter = new Netfilter();
  readonly balancer: Balancer;
  readonly #bridge: Place;
  readonly #containers = new Map<string, Place>();

  constructor() {
    const { tables, netfilter } = this;
    this.balancer = new Balancer({ tables, netfilter, clock: realClock, log: silentLogger });
    this.#bridge = this.wires.add('bridge');
    this.wires.ip(this.#bridge, 'link add br0 type bridge', 'link set br0 up');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.balancer[Symbol.asyncDispose]();
    await this.wires[Symbol.asyncDispose]();
  }

  /** `number` is the last part of its addresses. */
  async add(number: number): Promise<Place> {
    const name = `c${number}`;
    const place = this.wires.add(name);
    this.wires.wire(place, 'eth0', this.#bridge, name);
    this.wires.ip(this.#bridge, `link set ${name} master br0`);
    this.wires.ip(
      place,
      `addr add 10.0.1.${number}/24 dev eth0`,
      `addr add fd00:1::${number}/64 dev eth0 nodad`,
    );
    const networks = [{ networkId: 'net', addresses: this.addresses(number) }];
    await this.balancer.attached({ id: name, netnsPath: place.path, networks });
    this.#containers.set(name, place);
    return place;
  }

  addresses(number: number): readonly string[] {
    return [`10.0.1.${number}/24`, `fd00:1::${number}/64`];
  }

  /** Serves both families and both protocols, saying its number and who asked. */
  serve(place: Place, number: number): void {
    for (const address of this.addresses(number)) {
      const at = { address: address.split('/')[0] ?? '', port };
      this.wires.serve(place, at, (socket) => {
        socket.on('error', () => socket.destroy());
        socket.end(`${number} ${socket.remoteAddress}`);
      });
      const udp = this.wires.udp(place, address.includes(':') ? 6 : 4, at);
      udp.on('message', (_, from) =>
        udp.send(`${number} ${from.address}`, from.port, from.address),
      );
    }
  }

  apply(update: NetworkAssignments['update'], remove: NetworkAssignments['remove'] = []) {
    return this.balancer.changed(this.tables.apply({ complete: false, update, remove }));
  }

  endpoint(number: number, active = true): { type: 'endpoint'; object: AssignedEndpoint } {
    return {
      type: 'endpoint',
      object: {
        id: `net/t${number}`,
        networkId: 'net',
        taskId: `t${number}`,
        serviceId: 'web',
        nodeId: 'n',
        addresses: this.addresses(number),
        names: [],
        aliases: [],
        active,
      },
    };
  }

  service() {
    return this.apply([
      {
        type: 'service-endpoint',
        object: {
          id: 'net/web',
          networkId: 'net',
          serviceId: 'web',
          names: ['web'],
          mode: 'vip',
          virtualIps: [vip.ip, vip.ip6],
          ports: [],
        },
      },
    ]);
  }
}

describe('balancer on the real kernel', function () {
  this.timeout(180_000);
  let bench: Bench;
  let client: Place;

  beforeEach(async () => {
    bench = new Bench();
    client = await bench.add(100);
    await bench.service();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  const addServer = async (number: number) => {
    const place = await bench.add(number);
    bench.serve(place, number);
    await bench.apply([bench.endpoint(number)]);
    return place;
  };

  for (const [family, source] of [
    ['ip', '10.0.1.100'],
    ['ip6', 'fd00:1::100'],
  ] as const) {
    it(`leads TCP, UDP and ping to all backends, which see the client (${family})`, async () => {
      for (const number of [10, 11, 12]) await addServer(number);
      const tcp = new Set<string>();
      const udp = new Set<string>();
      for (let asked = 0; asked < 60; asked++) {
        tcp.add(await bench.wires.ask(client, vip[family], port));
        const socket = bench.wires.udp(client, family === 'ip' ? 4 : 6);
        udp.add(await bench.wires.askUdp(socket, vip[family], port));
      }
      const everybody = [10, 11, 12].map((number) => `${number} ${source}`);
      assert.deepEqual([...tcp].sort(), everybody);
      assert.deepEqual([...udp].sort(), everybody);
      const ping = await bench.wires.runAside(
        client,
        'busybox',
        'ping',
        '-c2',
        '-W20',
        vip[family],
      );
      assert.match(ping, /2 packets received/);
    });

    it(`refuses at once where nobody is active (${family})`, async () => {
      const isRefused = { code: 'ECONNREFUSED' };
      await assert.rejects(bench.wires.ask(client, vip[family], port), isRefused);
      await addServer(10);
      assert.equal(await bench.wires.ask(client, vip[family], port), `10 ${source}`);
      await bench.apply([bench.endpoint(10, false)]);
      await assert.rejects(bench.wires.ask(client, vip[family], port), isRefused);
      const udp = bench.wires.udp(client, family === 'ip' ? 4 : 6);
      udp.connect(port, vip[family]);
      await new Promise<void>((resolve) => udp.once('connect', resolve));
      const failed = new Promise((_, reject) => udp.once('error', reject));
      udp.send('?');
      await assert.rejects(failed, isRefused);
    });
  }

  it('balances a container of the service to itself', async () => {
    const own = await addServer(10);
    assert.equal(await bench.wires.ask(own, vip.ip, port), '10 10.0.1.10');
    assert.equal(await bench.wires.ask(own, vip.ip6, port), '10 fd00:1::10');
  });

  it('lets a UDP client move on with the socket it has', async () => {
    await addServer(10);
    const socket = bench.wires.udp(client, 4);
    assert.equal(await bench.wires.askUdp(socket, vip.ip, port), '10 10.0.1.100');
    await addServer(11);
    assert.equal(await bench.wires.askUdp(socket, vip.ip, port), '10 10.0.1.100');
    await bench.apply([bench.endpoint(10, false)]);
    const ask = () => bench.wires.askUdp(socket, vip.ip, port, 500);
    await until('the other answers', ask, { accept: (said) => said === '11 10.0.1.100' });
  });

  it('keeps established connections through changes, and ends them once nobody is there', async () => {
    const place = await bench.add(10);
    bench.wires.serve(place, { address: '10.0.1.10', port }, (socket) => socket.pipe(socket));
    await bench.apply([bench.endpoint(10)]);
    const socket = await bench.wires.connect(client, vip.ip, port);
    const echo = async (text: string) => {
      const answer = new Promise<string>((resolve, reject) => {
        socket.once('data', (data) => resolve(String(data)));
        socket.once('error', reject);
      });
      socket.write(text);
      assert.equal(await answer, text);
    };
    await echo('one');
    await addServer(11);
    await echo('two');
    await bench.apply([bench.endpoint(10, false)]);
    await sleep(100);
    await echo('three');
    bench.wires.ip(place, 'link set eth0 down');
    await bench.apply([], [{ type: 'endpoint', id: 'net/t10' }]);
    await sleep(100);
    const ended = new Promise((_, reject) => socket.once('error', reject));
    socket.write('four');
    await assert.rejects(ended, { code: 'ECONNRESET' });
  });

  it('tries again elsewhere when a server that does not answer leaves', async () => {
    const silent = await bench.add(10);
    bench.wires.ip(silent, 'link set eth0 down');
    // As on an overlay, where neighbours are known beforehand.
    bench.wires.ip(client, 'neigh replace 10.0.1.10 lladdr 02:42:0a:00:01:0a dev eth0');
    await bench.apply([bench.endpoint(10)]);
    const answer = bench.wires.ask(client, vip.ip, port, patienceMs);
    await sleep(200);
    await addServer(11);
    await bench.apply([bench.endpoint(10, false)]);
    assert.equal(await answer, '11 10.0.1.100');
  });

  it('leads questions of names to the resolver', async () => {
    const at = { address: resolverAddress, port: listenPort };
    bench.wires.serve(client, at, (socket) => socket.end('tcp'));
    const udp = bench.wires.udp(client, 4, at);
    udp.on('message', (_, from) => udp.send('udp', from.port, from.address));
    assert.equal(await bench.wires.ask(client, resolverAddress, 53), 'tcp');
    assert.equal(await bench.wires.askUdp(bench.wires.udp(client, 4), resolverAddress, 53), 'udp');
  });

  const damages = [
    'flush ruleset',
    'delete table inet ts_swarm',
    'flush map inet ts_swarm backends4',
  ];
  for (const damage of damages) {
    it(`repairs after "${damage}"`, async () => {
      await addServer(10);
      assert.deepEqual(await bench.balancer.audit(), []);
      bench.wires.run(client, 'nft', damage);
      const [repair, ...others] = await bench.balancer.audit();
      assert.equal(repair?.kind, 'nft');
      assert.deepEqual(others, []);
      assert.equal(await bench.wires.ask(client, vip.ip, port), '10 10.0.1.100');
      assert.deepEqual(await bench.balancer.audit(), []);
    });
  }

  it('leaves rules of others alone', async () => {
    await addServer(10);
    bench.wires.run(client, 'nft', 'add table inet mine; add chain inet mine some');
    assert.deepEqual(await bench.balancer.audit(), []);
    await bench.balancer.attached({
      id: 'c100',
      netnsPath: client.path,
      networks: [{ networkId: 'net', addresses: bench.addresses(100) }],
    });
    assert.match(bench.wires.run(client, 'nft', 'list', 'table', 'inet', 'mine'), /chain some/);
  });

  it('survives a change that finds its table damaged', async () => {
    await addServer(10);
    bench.wires.run(client, 'nft', 'delete table inet ts_swarm');
    await addServer(11);
    const answers = new Set<string>();
    for (let asked = 0; asked < 30; asked++)
      answers.add(await bench.wires.ask(client, vip.ip, port));
    assert.equal(answers.size, 2);
  });

  it('loses no connection while endpoints come and go', async () => {
    const places = new Map<number, Place>();
    for (const number of [10, 11, 12, 13]) places.set(number, await addServer(number));
    const ask = () => bench.wires.ask(client, vip.ip, port, patienceMs);
    await using load = new Load([ask, ask, ask, ask]);
    for (let flip = 0; flip < 16; flip++) {
      const number = 10 + (flip % 4);
      await bench.apply([bench.endpoint(number, false)]);
      // As a task that stops: a moment for what is under way, then nobody listens any more.
      await sleep(30);
      bench.wires.run(places.get(number) ?? client, 'nft', refuseAll);
      await sleep(20);
      bench.wires.run(places.get(number) ?? client, 'nft', 'delete table inet off');
      await bench.apply([bench.endpoint(number)]);
    }
    await until('many connections were made', () => load.asked > 200);
    await load.stop();
    assert.deepEqual(load.failures, []);
  });
});
