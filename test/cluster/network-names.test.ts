/** Names on overlay networks: who finds whom, and by which address. */
import { strict as assert } from 'node:assert';
import { createSocket, type Socket } from 'node:dgram';
import packet from 'dns-packet';
import { run, runResult, until } from '../lab/index.ts';
import { imageOf, useSwarm, type TaskView, type TestSwarm } from './swarm.ts';

interface WireTask {
  readonly ID: string;
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly Spec: { readonly Name: string } };
    readonly Addresses?: readonly string[];
  }[];
}

interface WireService {
  readonly ID: string;
  readonly Endpoint?: {
    readonly VirtualIPs?: readonly { readonly NetworkID: string; readonly Addr: string }[];
  };
}

interface WireNetwork {
  readonly Id: string;
}

const networks = ['one', 'two'];
const noAnswer: readonly string[] = [];

describe('names on overlay networks', () => {
  const get = useSwarm({ hosts: 3, images: ['web:1', 'sleeper:1'] });

  beforeEach(async () => {
    for (const name of networks) await get().cli('network', 'create', '-d', 'overlay', name);
  });
  afterEach(async () => {
    await get().clear();
    await get().cli('network', 'rm', ...networks);
  });

  /** As a program in the container asks: by its own resolv.conf. */
  const asked = async (swarm: TestSwarm, from: TaskView, name: string) => {
    const pid = String(swarm.pidOf(from));
    const inside = ['nsenter', '-t', pid, '-m', '-u', '-n', 'nslookup', name];
    return (await runResult(inside, { timeoutMs: 60_000 })).stdout;
  };
  const addresses = async (swarm: TestSwarm, from: TaskView, name: string) => {
    const [, ...answers] = (await asked(swarm, from, name)).split(/^Name:/m);
    const found = answers.flatMap((answer) => /^Address(?: \d+)?: *(\S+)/m.exec(answer)?.[1] ?? []);
    return found.toSorted();
  };
  const fetched = async (swarm: TestSwarm, from: TaskView, host: string) => {
    const pid = String(swarm.pidOf(from));
    const url = `http://${host}/`;
    // With a time limit, this wget ends by SIGSEGV.
    const inside = ['nsenter', '-t', pid, '-m', '-u', '-n', 'wget', '-q', '-O', '-', url];
    return (await runResult(inside, { timeoutMs: 60_000 })).stdout.trim();
  };
  const addressesOf = async (swarm: TestSwarm, service: string, network: string) => {
    const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
    const tasks = await swarm.manager.api<WireTask[]>('GET', `/tasks?filters=${filters}`);
    const found = tasks.map(({ ID, NetworksAttachments = [] }) => {
      const on = NetworksAttachments.find(({ Network }) => Network.Spec.Name === network);
      return [ID, on?.Addresses?.[0]?.split('/')[0] ?? ''] as const;
    });
    return new Map(found);
  };
  const virtualIpOf = async (swarm: TestSwarm, service: string, network: string) => {
    const { Id } = await swarm.manager.api<WireNetwork>('GET', `/networks/${network}`);
    const { Endpoint } = await swarm.manager.api<WireService>('GET', `/services/${service}`);
    const vip = Endpoint?.VirtualIPs?.find(({ NetworkID }) => NetworkID === Id);
    return vip?.Addr.split('/')[0] ?? '';
  };
  /** Nodes hear of a change a moment after the managers know it. */
  const finds = (swarm: TestSwarm, from: TaskView, name: string, expect: readonly string[]) =>
    until(
      `${name} is ${expect.join(', ')}, asked from ${from.host}`,
      () => addresses(swarm, from, name),
      { accept: (found) => found.join() === expect.toSorted().join(), timeoutMs: 60_000 },
    );

  it('lead to a service, its tasks, one task and an alias, from every host', async () => {
    const swarm = get();
    const alias = ['--network', 'name=one,alias=shop,alias=store'];
    await swarm.create('web', '--replicas', '6', ...alias, imageOf(swarm, 'web:1'));
    await swarm.create(
      'client',
      '--mode',
      'global',
      '--network',
      'one',
      imageOf(swarm, 'sleeper:1'),
    );
    const tasks = await swarm.runs('web', 6);
    const clients = await swarm.running('client');
    assert.equal(clients.length, 3);
    const vip = await virtualIpOf(swarm, 'web', 'one');
    const byTask = await addressesOf(swarm, 'web', 'one');
    const all = tasks.map(({ id }) => byTask.get(id) ?? '');
    for (const client of [...clients, tasks[0]!]) {
      for (const name of ['web', 'WEB', 'web.', 'shop', 'store', 'web.one']) {
        await finds(swarm, client, name, [vip]);
      }
      await finds(swarm, client, 'tasks.web', all);
      const task = tasks[1]!;
      await finds(swarm, client, `web.${task.slot}.${task.id}`, [byTask.get(task.id) ?? '']);
      await finds(swarm, client, 'nobody', noAnswer);
      for (const host of ['web', 'tasks.shop', vip, all[0]!]) {
        const page = await until(`${host} serves`, () => fetched(swarm, client, host));
        assert.match(page, /^web:1 /, `${host} from ${client.host}`);
      }
    }
  });

  it('of dnsrr lead to all tasks, in changing order', async () => {
    const swarm = get();
    const mode = ['--endpoint-mode', 'dnsrr', '--network', 'one'];
    await swarm.create('web', '--replicas', '3', ...mode, imageOf(swarm, 'web:1'));
    const tasks = await swarm.runs('web', 3);
    const byTask = await addressesOf(swarm, 'web', 'one');
    const all = tasks.map(({ id }) => byTask.get(id) ?? '');
    for (const task of tasks) await finds(swarm, task, 'web', all);
    const orders = new Set<string>();
    for (let round = 0; round < 20; round++) {
      orders.add((await asked(swarm, tasks[0]!, 'web')).replaceAll(/[^0-9.\n]/g, ''));
    }
    assert.ok(orders.size > 1, 'not always the same first');
  });

  it('are those of the networks that the container is on', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'web:1');
    await swarm.create('left', '--network', 'one', image);
    await swarm.create('right', '--network', 'two', image);
    await swarm.create('both', '--network', 'one', '--network', 'two', image);
    const [left] = await swarm.runs('left', 1);
    const [right] = await swarm.runs('right', 1);
    const [both] = await swarm.runs('both', 1);
    assert.ok(left && right && both);
    const vips = {
      left: await virtualIpOf(swarm, 'left', 'one'),
      right: await virtualIpOf(swarm, 'right', 'two'),
      bothOne: await virtualIpOf(swarm, 'both', 'one'),
      bothTwo: await virtualIpOf(swarm, 'both', 'two'),
    };
    await finds(swarm, both, 'left', [vips.left]);
    await finds(swarm, both, 'right', [vips.right]);
    await finds(swarm, left, 'both', [vips.bothOne]);
    await finds(swarm, right, 'both', [vips.bothTwo]);
    await finds(swarm, left, 'right', noAnswer);
    await finds(swarm, right, 'left', noAnswer);
  });

  it('are found by addresses too', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '2', '--network', 'one', imageOf(swarm, 'web:1'));
    const [task, other] = await swarm.runs('web', 2);
    assert.ok(task && other);
    const address = (await addressesOf(swarm, 'web', 'one')).get(other.id) ?? '';
    await finds(swarm, task, `web.${other.slot}.${other.id}`, [address]);
    const vip = await virtualIpOf(swarm, 'web', 'one');
    for (const [of, name] of [
      [address, new RegExp(`name = web\\.\\d\\.${other.id}\\.one`)],
      [vip, /name = web\.one/],
    ] as const) {
      await until(`${of} has its name`, () => asked(swarm, task, of), {
        accept: (said) => name.test(said),
      });
    }
  });

  it('lead only to tasks that are healthy', async () => {
    const swarm = get();
    const health = ['--health-cmd', 'test -e /tmp/well', '--health-interval', '300ms'];
    const patient = [...health, '--health-start-period', '600s'];
    const rest = ['--network', 'one', imageOf(swarm, 'sleeper:1')];
    await swarm.createDetached('slow', '--replicas', '2', ...patient, ...rest);
    await swarm.create('client', ...rest);
    const [client] = await swarm.runs('client', 1);
    assert.ok(client);
    const tasks = await swarm.untilTasks(
      'both start',
      'slow',
      (all) => all.length === 2 && all.every(({ state }) => state === 'starting'),
    );
    await finds(swarm, client, 'tasks.slow', noAnswer);
    await finds(swarm, client, 'slow', [await virtualIpOf(swarm, 'slow', 'one')]);
    const byTask = await addressesOf(swarm, 'slow', 'one');
    const known: string[] = [];
    for (const task of tasks) {
      await until('it is made well', () => {
        const pid = String(swarm.pidOf(task));
        return run(['nsenter', '-t', pid, '-m', 'touch', '/tmp/well']).then(() => true);
      });
      known.push(byTask.get(task.id) ?? '');
      await finds(swarm, client, 'tasks.slow', known);
    }
  });

  it('are answered again after a daemon was away, and follow what came meanwhile', async () => {
    const swarm = get();
    await swarm.create('web', '--mode', 'global', '--network', 'one', imageOf(swarm, 'web:1'));
    const tasks = await swarm.runs('web', 3);
    const vip = await virtualIpOf(swarm, 'web', 'one');
    const far = tasks.find(({ host }) => host === 'h3')!;
    await finds(swarm, far, 'web', [vip]);
    await swarm.host('h3').killDaemon();
    await swarm.createDetached('late', '--network', 'one', imageOf(swarm, 'web:1'));
    await swarm.host('h3').startDaemon();
    await swarm.runs('late', 1);
    // On a machine that is very busy the node may have been away for too long, and have a new task.
    const now = (await swarm.runs('web', 3)).find(({ host }) => host === 'h3')!;
    await finds(swarm, now, 'web', [vip]);
    await finds(swarm, now, 'late', [await virtualIpOf(swarm, 'late', 'one')]);
  });

  describe('of others', () => {
    let server: Socket;
    const known = ['www.example', 'cart.shop.example'];
    const noSuchName = 3;
    const seen: { readonly name: string; readonly type: string | undefined }[] = [];
    const names = () => seen.map(({ name }) => name);

    before(async () => {
      server = createSocket('udp4');
      server.on('message', (query, client) => {
        const { id = 0, questions = [] } = packet.decode(query);
        const [question] = questions;
        if (question === undefined) return;
        seen.push({ name: question.name, type: question.type });
        const isKnown = known.includes(question.name) && question.type === 'A';
        const rcode = known.includes(question.name) ? 0 : noSuchName;
        const answer = { type: 'A', name: question.name, ttl: 3600, data: '192.0.2.80' } as const;
        const answers = isKnown ? [answer] : [];
        const message = packet.encode({ type: 'response', id, flags: rcode, questions, answers });
        server.send(message, client.port, client.address);
      });
      const [address = ''] = get().lab.registry.address.split(':');
      await new Promise<void>((resolve) => server.bind(53, address, resolve));
    });
    after(() => server.close());

    it('are asked of the name server that the service names', async () => {
      const swarm = get();
      const { address } = server.address();
      const dns = ['--dns', address, '--dns-search', 'shop.example', '--network', 'one'];
      await swarm.create('web', ...dns, imageOf(swarm, 'web:1'));
      const [task] = await swarm.runs('web', 1);
      assert.ok(task);
      await finds(swarm, task, 'www.example', ['192.0.2.80']);
      await finds(swarm, task, 'cart', ['192.0.2.80']);
      assert.ok(names().includes('cart.shop.example'), 'the search domain is the container’s');
      // This nslookup adds search domains whatever it is told; other programs ask as it is first,
      // and go on only where there is no answer in time.
      const own = ['nsenter', '-t', String(swarm.pidOf(task)), '-m', '-u', '-n'];
      const vip = await virtualIpOf(swarm, 'web', 'one');
      await until('ndots is 0', async () => {
        const before = seen.length;
        const { stdout } = await runResult([...own, 'ping', '-c1', '-W5', 'web']);
        const isAddedTo = names().slice(before).includes('web.shop.example');
        return stdout.includes(`PING web (${vip})`) && !isAddedTo;
      });
      assert.ok(!names().includes('web'), 'the swarm’s own names stay here');
      const before = seen.length;
      await finds(swarm, task, 'www.example', ['192.0.2.80']);
      const again = seen.slice(before).filter(({ name }) => name === 'www.example');
      assert.ok(!again.some(({ type }) => type === 'A'), 'what is known is not asked for again');
    });
  });
});
