import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshBench, port, ports, subnets, type MeshNode } from '../../../test/wires/mesh-bench.ts';
import { until } from '../../../test/lab/until.ts';
import { Load } from '../../../test/wires/load.ts';
import type { Place } from '../../../test/wires/wires.ts';
import type { PortConfig } from '../../../types/index.ts';

/** The machine may be busy with other tests. */
const patienceMs = 60_000;
/** Who has not answered by then is asked again, or is not there. */
const silenceMs = 500;
const askOnce = (bench: MeshBench, host: string) => () =>
  bench.wires.ask(bench.outside, host, port.tcp, patienceMs);

describe('routing mesh on the real kernel', function () {
  this.timeout(180_000);

  describe('between three nodes, one without a task', () => {
    let bench: MeshBench;
    let a: MeshNode;
    let b: MeshNode;
    let idle: MeshNode;
    let serverA: Place;

    before(async () => {
      bench = new MeshBench(3);
      [a, b, idle] = [bench.node(0), bench.node(1), bench.node(2)];
      await bench.assign();
      serverA = await bench.addServer(10, a);
      await bench.addServer(11, b);
    });
    after(() => bench[Symbol.asyncDispose]());

    const askBoth = async (place: Place, host: string) => {
      const answers = { tcp: new Set<string>(), udp: new Set<string>() };
      for (let asked = 0; asked < 16; asked++) {
        answers.tcp.add(await bench.wires.ask(place, host, port.tcp));
        const client = bench.wires.udp(place, host.includes(':') ? 6 : 4);
        answers.udp.add(await bench.wires.askUdp(client, host, port.udp));
      }
      return { tcp: [...answers.tcp].sort(), udp: [...answers.udp].sort() };
    };
    const everybody = (source: string) => {
      const expected = ['10', '11'].map((number) => `${number} ${source}`);
      return { tcp: expected, udp: expected };
    };

    const outsideCases = [
      { way: 'a node with a task', at: 2, host: '192.168.99.2', source: '192.168.99.100' },
      { way: 'a node without one', at: 4, host: '192.168.99.4', source: '192.168.99.100' },
      { way: 'a node with a task, IPv6', at: 2, host: 'fd99::2', source: 'fd99::100' },
      { way: 'a node without one, IPv6', at: 4, host: 'fd99::4', source: 'fd99::100' },
    ];
    for (const { way, host, source } of outsideCases) {
      it(`shows the tasks a client from outside by ${way}`, async () => {
        assert.deepEqual(await askBoth(bench.outside, host), everybody(source));
      });
    }

    const nodeCases = [
      { name: 'itself', host: '192.168.99.2', source: '192.168.99.2' },
      { name: 'another node', host: '192.168.99.4', source: '192.168.99.2' },
      { name: '127.0.0.1', host: '127.0.0.1', source: '192.168.99.2' },
      { name: 'itself, IPv6', host: 'fd99::2', source: 'fd99::2' },
    ];
    for (const { name, host, source } of nodeCases) {
      it(`answers a program of a node that asks ${name}`, async () => {
        assert.deepEqual(await askBoth(a.place, host), everybody(source));
      });
    }

    it('answers a program of a node that asks ::1', async () => {
      const { tcp, udp } = await askBoth(a.place, '::1');
      assert.deepEqual(
        tcp.map((answer) => answer.split(' ')[0]),
        ['10', '11'],
      );
      assert.deepEqual(
        udp.map((answer) => answer.split(' ')[0]),
        ['10', '11'],
      );
    });

    for (const [index, host] of ['192.168.99.2', '192.168.99.3', '192.168.99.4'].entries()) {
      it(`answers a container that is on no network of the swarm, by node ${index}`, async () => {
        const client = await a.attach(50 + index, false);
        // On its own node it is seen as itself; others see its node, which masquerades it.
        const source = index === 0 ? `172.18.0.${50 + index}` : '192.168.99.2';
        assert.deepEqual(await askBoth(client, host), everybody(source));
      });
    }

    it('answers a container of the service itself', async () => {
      assert.deepEqual(await askBoth(serverA, '192.168.99.2'), everybody('172.18.0.10'));
      assert.deepEqual(await askBoth(serverA, '192.168.99.4'), everybody('192.168.99.2'));
    });

    it('can be listed with nft, wherever its rules are', () => {
      const list = (place: Place) => bench.wires.run(place, 'nft', 'list', 'ruleset');
      assert.match(
        list({ name: 'mesh', path: a.networkPath }),
        /dnat ip to meta mark \. numgen random mod 2 map @back/,
      );
      assert.match(list(a.place), /@published fib daddr type local dnat ip to/);
      assert.match(list(serverA), /ct direction reply meta mark set ct mark/);
    });

    it('keeps connections apart that a client opens by two nodes from one port', async () => {
      const nodes = ['192.168.99.2', '192.168.99.3', '192.168.99.4'];
      const held = await bench.wires.runAside(
        bench.outside,
        'python3',
        '-c',
        `
import socket
sockets = []
for host in ${JSON.stringify(nodes)}:
    for attempt in range(2):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(('192.168.99.100', 40000 + attempt))
        s.settimeout(60)
        s.connect((host, ${port.tcp}))
        sockets.append(s)
print(' '.join(s.recv(100).decode().split(' ')[1] for s in sockets))
`,
      );
      assert.equal(held.trim(), Array.from({ length: 6 }, () => '192.168.99.100').join(' '));
    });

    it('answers while a daemon is started anew, and afterwards', async () => {
      await using load = new Load([askOnce(bench, '192.168.99.4')]);
      await sleep(100);
      await idle.restart(bench.everything());
      await sleep(100);
      await load.stop();
      assert.deepEqual(load.failures, []);
      assert.deepEqual(await askBoth(bench.outside, '192.168.99.4'), everybody('192.168.99.100'));
    });

    const damages: readonly { what: string; damage: () => void }[] = [
      { what: 'the host tables', damage: () => a.host.run('nft', 'flush', 'ruleset') },
      {
        what: 'the tables of the network',
        damage: () => a.host.runInNetwork('ingress', 'nft', 'flush', 'ruleset'),
      },
      { what: 'the wire', damage: () => a.host.run('ip', 'link', 'del', 'ts-swarm-mesh') },
      {
        what: 'the tables of a container',
        damage: () => bench.wires.run(serverA, 'nft', 'flush', 'ruleset'),
      },
      {
        what: 'the routes of a container',
        damage: () => bench.wires.ip(serverA, 'rule del pref 10', 'route flush table 200'),
      },
      {
        what: 'the interface of a container',
        damage: () => bench.wires.ip(serverA, 'link del eth0'),
      },
    ];
    for (const { what, damage } of damages) {
      it(`repairs ${what}`, async () => {
        assert.deepEqual(await a.mesh.audit(), []);
        damage();
        await a.host.overlay.audit();
        const repairs = await a.mesh.audit();
        assert.ok(repairs.length > 0, 'something was repaired');
        assert.deepEqual(await askBoth(bench.outside, '192.168.99.2'), everybody('192.168.99.100'));
        assert.deepEqual(await a.mesh.audit(), []);
      });
    }
  });

  describe('while tasks come and go', () => {
    let bench: MeshBench;

    beforeEach(async () => {
      bench = new MeshBench(2);
      await bench.assign();
    });
    afterEach(() => bench[Symbol.asyncDispose]());

    it('refuses at once where no task is active', async () => {
      const refused = { code: 'ECONNREFUSED' };
      await assert.rejects(bench.wires.ask(bench.outside, '192.168.99.2', port.tcp), refused);
      await assert.rejects(bench.wires.ask(bench.outside, 'fd99::2', port.tcp), refused);
      await bench.addServer(10, bench.node(1));
      assert.match(await bench.wires.ask(bench.outside, '192.168.99.2', port.tcp), /^10 /);
    });

    for (const [host, own] of [
      ['192.168.99.2', '192.168.99.100'],
      ['fd99::2', 'fd99::100'],
    ] as const) {
      it(`lets a UDP client of ${host} move on with the socket it has`, async () => {
        const client = bench.wires.udp(bench.outside, host.includes(':') ? 6 : 4);
        const ask = () => bench.wires.askUdp(client, host, port.udp, silenceMs);
        const answers = (answer: string) =>
          until(`${answer} answers`, ask, { accept: (said) => said === answer });
        await assert.rejects(ask());
        await bench.addServer(10, bench.node(1));
        await answers(`10 ${own}`);
        await bench.addServer(11, bench.node(0));
        assert.equal(await bench.wires.askUdp(client, host, port.udp), `10 ${own}`);
        await bench.tell(10, bench.node(1), false);
        await answers(`11 ${own}`);
        await bench.tell(11, bench.node(0), false);
        const silent = () =>
          ask().then(
            () => false,
            () => true,
          );
        await until('nobody answers', silent);
        await bench.tell(10, bench.node(1));
        await answers(`10 ${own}`);
      });

      it(`keeps connections to ${host} while another task goes`, async () => {
        for (const [index, number] of [10, 12].entries()) {
          const place = await bench.node(index).attach(number);
          bench.wires.serve(place, { address: '::', port: 80 }, (socket) => socket.pipe(socket));
          await bench.tell(number, bench.node(index));
        }
        const open = () => bench.wires.connect(bench.outside, host, port.tcp, patienceMs);
        const sockets = await Promise.all(Array.from({ length: 8 }, open));
        const said = async (text: string) => {
          for (const socket of sockets) {
            const heard = new Promise((resolve, reject) => {
              socket.once('data', resolve);
              socket.once('error', reject);
            });
            socket.write(text);
            assert.equal(String(await heard), text);
          }
        };
        await said('one');
        await bench.addServer(11, bench.node(0));
        await bench.tell(11, bench.node(0), false);
        await bench.drop(11);
        await sleep(100);
        await said('two');
      });
    }

    it('answers clients whose network is numbered as its own', async () => {
      const { wires, outside, nodes } = bench;
      const places = [outside, ...nodes.map(({ place }) => place)];
      for (const [index, place] of places.entries()) {
        const last = 201 + index;
        wires.ip(place, `addr add 10.0.0.${last}/24 dev eth0`);
        wires.ip(place, `addr add fd00:a::${last}/64 dev eth0 nodad`);
      }
      await bench.addServer(10, bench.node(1));
      for (const own of ['10.0.0.201', 'fd00:a::201']) {
        const hosts = [202, 203].map((last) => own.replace('201', String(last)));
        for (const host of hosts) {
          assert.equal(await wires.ask(outside, host, port.tcp, patienceMs), `10 ${own}`);
          const client = wires.udp(outside, own.includes(':') ? 6 : 4);
          assert.equal(await wires.askUdp(client, host, port.udp), `10 ${own}`);
        }
      }
      // On the mesh's own network, too, nobody is kept from asking.
      const neighbour = await bench.node(0).attach(12);
      await bench.tell(12, bench.node(0));
      assert.equal(await wires.ask(neighbour, '10.0.0.10', 80, patienceMs), '10 10.0.0.12');
      const client = wires.udp(neighbour, 4);
      assert.equal(await wires.askUdp(client, '10.0.0.10', 53), '10 10.0.0.12');
    });

    it('loses no connection', async () => {
      const places = [
        await bench.addServer(10, bench.node(0)),
        await bench.addServer(11, bench.node(1)),
        await bench.addServer(12, bench.node(1)),
      ];
      const refuse =
        'add table inet off; add chain inet off in { type filter hook input priority 0; }; ' +
        'add rule inet off in tcp flags syn reject with tcp reset';
      const hosts = ['192.168.99.2', '192.168.99.3', '192.168.99.2'];
      await using load = new Load(hosts.map((host) => askOnce(bench, host)));
      for (let flip = 0; flip < 12; flip++) {
        const number = flip % 3;
        const node = bench.node(number === 0 ? 0 : 1);
        await bench.tell(10 + number, node, false);
        await sleep(30);
        bench.wires.run(places[number]!, 'nft', refuse);
        await sleep(20);
        bench.wires.run(places[number]!, 'nft', 'delete table inet off');
        await bench.tell(10 + number, node);
      }
      await until('many connections were made', () => load.asked > 100);
      await load.stop();
      assert.deepEqual(load.failures, []);
    });

    it('takes everything away with the network', async () => {
      await bench.addServer(10, bench.node(0));
      await bench.node(0).assign({ complete: true, update: [], remove: [] });
      const { host } = bench.node(0);
      assert.doesNotMatch(host.run('nft', 'list', 'ruleset'), /ts_swarm_mesh/);
      assert.doesNotMatch(host.run('ip', 'link'), /ts-swarm-mesh/);
      assert.deepEqual(bench.node(0).mesh.published, []);
    });

    it('names a port that a program of the host has', async () => {
      const { mesh, host } = bench.node(0);
      assert.deepEqual(mesh.taken, []);
      assert.equal(mesh.ownerOf({ protocol: 'tcp', publishedPort: port.tcp }), 'web');
      assert.equal(mesh.ownerOf({ protocol: 'tcp', publishedPort: 9090 }), undefined);
      const second: PortConfig = {
        protocol: 'tcp',
        targetPort: 80,
        publishedPort: 9090,
        publishMode: 'ingress',
      };
      bench.wires.serve(bench.node(0).place, { address: '0.0.0.0', port: 9090 }, (socket) =>
        socket.destroy(),
      );
      const set = bench.everything();
      const update = set.update.map((one) =>
        one.type === 'service-endpoint'
          ? { ...one, object: { ...one.object, ports: [...ports, second] } }
          : one,
      );
      await bench.node(0).assign({ ...set, update });
      assert.deepEqual(
        mesh.taken.map(({ protocol, port: taken, owner }) => ({ protocol, taken, owner })),
        [{ protocol: 'tcp', taken: 9090, owner: 'web' }],
      );
      const listen = ['busybox', 'nc', '-l', '-p', String(port.tcp)];
      assert.throws(() => host.run(...listen), /in use/);
    });
  });

  describe('without IPv6 of its own', () => {
    let bench: MeshBench;
    before(async () => {
      bench = new MeshBench(2, 1500, subnets.slice(0, 1));
      await bench.assign();
      await bench.addServer(10, bench.node(0));
    });
    after(() => bench[Symbol.asyncDispose]());

    for (const number of [0, 1]) {
      it(`answers clients of IPv6 on behalf of node ${number}`, async () => {
        const { host, place } = bench.node(number);
        const answer = `10 ${host.address}`;
        for (const [from, to] of [
          [bench.outside, `fd99::${host.address.split('.').at(-1)}`],
          [place, '::1'],
        ] as const) {
          assert.equal(await bench.wires.ask(from, to, port.tcp, patienceMs), answer);
          const client = bench.wires.udp(from, 6);
          for (const _ of ['first', 'second']) {
            assert.equal(await bench.wires.askUdp(client, to, port.udp, patienceMs), answer);
          }
        }
      });
    }

    it('carries much, both ways, to the end', async () => {
      await using other = new MeshBench(1, 1500, subnets.slice(0, 1));
      await other.assign();
      const place = await other.node(0).attach(10);
      other.wires.serve(place, { address: '0.0.0.0', port: 80 }, (socket) => {
        socket.pipe(socket);
      });
      await other.tell(10, other.node(0));
      const payload = randomBytes(8 * 1024 * 1024);
      const socket = await other.wires.connect(other.outside, 'fd99::2', port.tcp, patienceMs);
      socket.end(payload);
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      assert.ok(Buffer.concat(chunks).equals(payload));
    });

    it('answers by IPv4 where a host has no IPv6 at all', async () => {
      const { place, host } = bench.node(1);
      bench.wires.set(place, 'ipv6/conf/all/disable_ipv6', '1');
      await bench.node(1).restart(bench.everything());
      const answer = await bench.wires.ask(bench.outside, host.address, port.tcp, patienceMs);
      assert.equal(answer, '10 192.168.99.100');
    });
  });

  it('carries 64 MB whole, on a way that is narrower than either end knows', async () => {
    await using bench = new MeshBench(2, 1280, subnets.slice(0, 1));
    await bench.assign();
    const [a, b] = [bench.node(0), bench.node(1)];
    const place = await b.attach(10);
    const payload = randomBytes(64 * 1024 * 1024);
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    bench.wires.serve(place, { address: '0.0.0.0', port: 80 }, (socket) => {
      const hash = createHash('sha256');
      let left = payload.length;
      socket.on('error', () => socket.destroy());
      socket.on('data', (bytes) => {
        hash.update(bytes);
        left -= bytes.length;
        if (left > 0) return;
        socket.write(hash.digest('hex'));
        socket.end(payload);
      });
    });
    await bench.tell(10, b);
    const socket = await bench.wires.connect(bench.outside, a.host.address, port.tcp, 30_000);
    socket.write(payload);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const said = Buffer.concat(chunks);
    assert.equal(said.subarray(0, 64).toString(), digest(payload));
    assert.equal(digest(said.subarray(64)), digest(payload));
  });
});
