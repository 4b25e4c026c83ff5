/** Containers of people on networks of the swarm: found by services, and gone at the end. */
import { strict as assert } from 'node:assert';
import { runResult, until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm, type TestSwarm } from './swarm.ts';

interface WireTask {
  readonly ID: string;
  readonly Status: { readonly State: string };
  readonly NetworksAttachments?: readonly { readonly Addresses?: readonly string[] }[];
}

interface WireNetwork {
  readonly Containers: Readonly<Record<string, { readonly Name: string }>> | null;
}

describe('containers of people on networks of the swarm', () => {
  // Before the swarm is looked over, which counts all containers.
  afterEach(async () => {
    for (const host of get().hosts) await removeAll(host);
  });
  const get = useSwarm({ hosts: 3, images: ['web:1', 'sleeper:1'] });

  before(async () => {
    const swarm = get();
    const make = (name: string, ...flags: readonly string[]) =>
      swarm.cli('network', 'create', '-d', 'overlay', ...flags, name);
    await make('open', '--attachable', '--subnet', '10.55.0.0/27', '--ip-range', '10.55.0.0/28');
    await make('closed');
    for (const name of ['web:1', 'sleeper:1']) {
      for (const host of swarm.hosts) await host.docker('pull', '-q', imageOf(swarm, name));
    }
  });
  afterEach(() => get().clear());

  const attachments = (swarm: TestSwarm) => {
    const filters = encodeURIComponent(JSON.stringify({ runtime: ['attachment'] }));
    return swarm.manager.api<readonly WireTask[]>('GET', `/tasks?filters=${filters}`);
  };
  const noneIsLeft = (swarm: TestSwarm) =>
    until('no attachment is left', () => attachments(swarm), {
      accept: (tasks) => tasks.length === 0,
      timeoutMs: 60_000,
    });
  /** What a container hears at the address, in the end. */
  const hears = (host: Host, container: string, name: string, expected: RegExp) =>
    until(
      `${container} on ${host.name} hears ${name}`,
      async () => {
        const ask = ['wget', '-q', '-O', '-', `http://${name}/`];
        return (await host.dockerResult('exec', container, ...ask)).stdout;
      },
      { accept: (text) => expected.test(text), timeoutMs: 60_000 },
    );
  const inspected = async (host: Host, container: string) => {
    const format = '{{.NetworkSettings.Networks.open.IPAddress}}';
    return (await host.docker('inspect', '-f', format, container)).trim();
  };

  const mac = '02:00:00:00:0a:07';
  const macOf = async (host: Host, container: string) =>
    (await host.docker('exec', container, 'cat', '/sys/class/net/eth0/address')).trim();

  it('are found by services, find them, and show on the node that has them', async () => {
    const swarm = get();
    const [manager, worker, other] = swarm.hosts as [Host, Host, Host];
    const web = imageOf(swarm, 'web:1');
    const onOther = ['--constraint', `node.hostname==${other.name}`];
    await swarm.create('shop', '--network', 'open', ...onOther, web);
    const run = ['run', '-d', '--network', 'open'];
    await worker.docker(...run, '--name', 'box', '--network-alias', 'crate', web);
    const nook = ['--name', 'nook', '--ip', '10.55.0.19', '--mac-address', mac];
    await manager.docker(...run, ...nook, web);
    assert.equal(await macOf(manager, 'nook'), mac);
    assert.equal(await inspected(manager, 'nook'), '10.55.0.19');
    const box = await inspected(worker, 'box');
    assert.match(box, /^10\.55\.0\.\d+$/);
    await hears(worker, 'box', 'shop', /web:1/);
    await hears(worker, 'box', 'tasks.shop', /web:1/);
    for (const name of ['nook', '10.55.0.19']) await hears(worker, 'box', name, /web:1/);
    for (const name of ['box', 'crate', box]) await hears(manager, 'nook', name, /web:1/);
    const [task] = await swarm.runs('shop', 1);
    const pid = String(swarm.pidOf(task!));
    for (const name of ['box', 'crate', 'nook']) {
      await until(`the service's task finds ${name}`, async () => {
        const inside = ['nsenter', '-t', pid, '-m', '-u', '-n', 'wget', '-q', '-O', '-'];
        const asked = await runResult([...inside, `http://${name}/`], { timeoutMs: 60_000 });
        return asked.code === 0;
      });
    }
    const shown = await worker.api<WireNetwork>('GET', '/networks/open');
    assert.deepEqual(
      Object.values(shown.Containers ?? {}).map(({ Name }) => Name),
      ['box'],
    );
    const tasks = await manager.api<readonly WireTask[]>('GET', '/tasks');
    assert.ok(
      tasks.every(({ ID }) => ID === task!.id),
      'only services have tasks to be shown',
    );
    const removed = await manager.dockerResult('network', 'rm', 'open');
    assert.match(removed.stderr, /network \w+ is in use by (task|service)/);
  });

  it('come to it and leave it while they run, and daemons may be killed meanwhile', async () => {
    const swarm = get();
    const [manager, worker] = swarm.hosts as [Host, Host];
    const web = imageOf(swarm, 'web:1');
    await manager.docker('run', '-d', '--name', 'nook', '--network', 'open', web);
    await worker.docker('run', '-d', '--name', 'box', '--mac-address', mac, web);
    const connect = ['network', 'connect', '--alias', 'crate', '--ip', '10.55.0.22', 'open', 'box'];
    await worker.cli(...connect);
    await hears(manager, 'nook', 'crate', /web:1/);
    await hears(worker, 'box', 'nook', /web:1/);
    const again = await worker.dockerResult('network', 'connect', 'open', 'box');
    assert.match(again.stderr, /endpoint with name box already exists in network open/);
    await worker.killDaemon();
    await worker.startDaemon();
    await hears(manager, 'nook', 'box', /web:1/);
    await until('there are two attachments', () => attachments(swarm), {
      accept: (tasks) => tasks.length === 2,
    });
    await worker.docker('restart', '-t', '0', 'box');
    assert.equal(await inspected(worker, 'box'), '10.55.0.22');
    await hears(manager, 'nook', 'crate', /web:1/);
    await worker.cli('network', 'disconnect', 'open', 'box');
    await until('one is left', () => attachments(swarm), {
      accept: (tasks) => tasks.length === 1,
      timeoutMs: 60_000,
    });
    const away = await worker.dockerResult('exec', 'box', 'ip', 'addr');
    assert.ok(away.stdout.includes(mac), 'on the bridge it has its own all the time');
    assert.doesNotMatch(away.stdout, /10\.55\.0\./);
  });

  it('are refused where the network is not attachable, is full, or is not there', async () => {
    const swarm = get();
    const [, worker] = swarm.hosts as [Host, Host];
    const image = imageOf(swarm, 'sleeper:1');
    const run = (...flags: string[]) => worker.dockerResult('run', '-d', ...flags, image);
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [
        ['--network', 'closed'],
        /Could not attach to network closed: .* network closed not manually attachable/,
      ],
      [['--network', 'ingress'], /network ingress not manually attachable/],
      [['--network', 'nosuch'], /network nosuch not found/],
      [['--network', 'open', '--ip', '10.56.0.1'], /10\.56\.0\.1: it belongs to none/],
      [['--network', 'open', '--ip', '10.55.0.1'], /10\.55\.0\.1 is already in use/],
      [
        ['--network', 'open', '--mac-address', '02:42:0a:37:00:01'],
        /belongs to the address 10\.55\.0\.1 of the network open/,
      ],
    ];
    for (const [flags, says] of cases) {
      const { code, stderr } = await run(...flags);
      assert.match(stderr, says);
      assert.notEqual(code, 0);
    }
    await noneIsLeft(swarm);
  });

  it('leave nothing behind, whether they end or their node does', async () => {
    const swarm = get();
    const [manager, worker] = swarm.hosts as [Host, Host];
    const image = imageOf(swarm, 'sleeper:1');
    // More than the subnet has addresses, one after the other.
    for (let round = 0; round < 4; round++) {
      // The managers hear a moment later of those that are gone.
      await until('there is room', () => attachments(swarm), {
        accept: ({ length }) => length <= 8,
      });
      const names = [0, 1, 2, 3].map((number) => `box${round}${number}`);
      await Promise.all(
        names.map((name) => worker.docker('run', '-d', '--network', 'open', '--name', name, image)),
      );
      await worker.docker('rm', '-f', ...names);
    }
    await noneIsLeft(swarm);
    // One that ends while its node has no daemon.
    await worker.docker('run', '-d', '--network', 'open', '--name', 'box', image);
    const { pid } = worker.containers()[0]!;
    await worker.killDaemon();
    process.kill(pid, 'SIGKILL');
    await worker.startDaemon();
    await noneIsLeft(swarm);
    await manager.docker('network', 'inspect', 'open');
  });
});

async function removeAll(host: Host): Promise<void> {
  const ids = (await host.docker('ps', '-aq', '--filter', 'is-task=false')).split('\n');
  const all = ids.filter((id) => id !== '');
  if (all.length > 0) await host.docker('rm', '-f', ...all);
}
