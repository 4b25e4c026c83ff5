/** Networks of the swarm that each node makes for itself: macvlan by its configuration, bridge. */
import { strict as assert } from 'node:assert';
import { runResult, until } from '../lab/index.ts';
import { addressesOf, Peers } from './network-peers.ts';
import { imageOf, useSwarm, type TaskView } from './swarm.ts';

describe('networks that each node makes for itself', () => {
  const get = useSwarm({ hosts: 2, images: ['sleeper:1'] });
  let peers: Peers;
  before(async () => {
    peers = new Peers();
    // A daemon that starts anew on a busy machine is not to be taken for a lost one.
    await get().cli('swarm', 'update', '--dispatcher-heartbeat', '30s');
  });
  after(() => peers[Symbol.asyncDispose]());

  const make = (...flags: readonly string[]) => get().cli('network', 'create', ...flags);
  const removed = (name: string) =>
    until(`${name} can go`, () => get().manager.cliResult('network', 'rm', name), {
      accept: ({ code }) => code === 0,
      timeoutMs: 60_000,
    });
  /** As a program in the container asks. */
  const found = (from: TaskView, name: string, expected: readonly string[]) =>
    until(
      `${name} leads to ${expected.join(', ')} on ${from.host}`,
      async () => {
        const pid = String(get().pidOf(from));
        const inside = ['nsenter', '-t', pid, '-m', '-u', '-n', 'nslookup', name];
        const { stdout } = await runResult(inside, { timeoutMs: 60_000 });
        const [, ...answers] = stdout.split(/^Name:/m);
        const all = answers.flatMap((one) => /^Address(?: \d+)?: *(\S+)/m.exec(one)?.[1] ?? []);
        return all.toSorted().join();
      },
      { accept: (addresses) => addresses === expected.join(), timeoutMs: 60_000 },
    );
  const started = async (network: string) => {
    const swarm = get();
    const flags = ['--mode', 'global', '--network', network];
    await swarm.create('box', ...flags, imageOf(swarm, 'sleeper:1'));
    const tasks = await swarm.running('box');
    assert.equal(tasks.length, 2);
    const addresses = await addressesOf(swarm, 'box', network);
    return tasks.map((task) => ({ task, address: addresses.get(task.id)?.[0] ?? '' }));
  };

  it('give the tasks addresses of the nodes’ own ranges, under which all reach all', async () => {
    const swarm = get();
    for (const [index, host] of swarm.hosts.entries()) {
      const range = ['--subnet', '10.123.0.0/24', '--ip-range', `10.123.0.${64 * (index + 1)}/26`];
      const parent = ['-o', 'parent=eth0'];
      await host.cli('network', 'create', '--config-only', ...range, ...parent, 'lan-here');
    }
    await make('-d', 'macvlan', '--scope', 'swarm', '--config-from', 'lan-here', 'lan');
    const format = '{{.Scope}} {{.Driver}} {{.ConfigFrom.Network}}';
    const shown = await swarm.cli('network', 'inspect', '-f', format, 'lan');
    assert.equal(shown.trim(), 'swarm macvlan lan-here');
    const boxes = await started('lan');
    for (const { task, address } of boxes) {
      assert.match(address, task.host === 'h1' ? /\.(6[4-9]|[7-9].|1[01].|12.)$/ : /\.1[2-9].$/);
    }
    const all = boxes.map(({ address }) => address).toSorted();
    for (const { task } of boxes) {
      peers.serve(peers.inTask(swarm, task), { address: '0.0.0.0', port: 80 }, (socket) => {
        socket.end(`${task.host} ${socket.remoteAddress}`);
      });
    }
    for (const { task, address } of boxes) {
      for (const name of ['box', 'tasks.box']) await found(task, name, all);
      for (const other of boxes) {
        const seen = await until(`${other.address} answers`, () =>
          peers.ask(peers.inTask(swarm, task), other.address, 80, 5000),
        );
        assert.equal(seen, `${other.task.host} ${address}`);
      }
    }
    const [far] = boxes.filter(({ task }) => task.host === 'h2');
    assert.ok(far);
    await swarm.host('h2').killDaemon();
    await swarm.host('h2').startDaemon();
    await swarm.untilNodes('h1 ready, h2 ready');
    await found(far.task, 'box', all);
    for (const host of swarm.hosts) {
      const said = await host.cliResult('network', 'rm', 'lan-here');
      assert.match(said.stderr, /configuration network "lan-here" is in use/);
    }
    await swarm.clear();
    await removed('lan');
    for (const host of swarm.hosts) {
      await until(
        `${host.name} has let go of its configuration`,
        () => host.cliResult('network', 'rm', 'lan-here'),
        { accept: ({ code }) => code === 0, timeoutMs: 60_000 },
      );
    }
  });

  it('are joined by containers of people, where they are attachable', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    for (const [index, host] of swarm.hosts.entries()) {
      const range = ['--subnet', '10.125.0.0/24', '--ip-range', `10.125.0.${64 * (index + 1)}/26`];
      await host.cli('network', 'create', '--config-only', ...range, '-o', 'parent=eth0', 'here');
    }
    await make('-d', 'macvlan', '--scope', 'swarm', '--config-from', 'here', '--attachable', 'lan');
    const [manager, worker] = [swarm.host('h1'), swarm.host('h2')];
    const run = ['run', '-d', '--network', 'lan', '--name'];
    const shown = '{{.NetworkSettings.Networks.lan.IPAddress}}';
    const mac = '02:00:00:00:0a:08';
    await manager.docker(...run, 'nook', '--ip', '10.125.0.77', '--mac-address', mac, image);
    const link = await manager.docker('exec', 'nook', 'cat', '/sys/class/net/eth0/address');
    assert.equal(link.trim(), mac);
    await worker.docker(...run, 'box', '--network-alias', 'crate', image);
    assert.equal((await manager.docker('inspect', '-f', shown, 'nook')).trim(), '10.125.0.77');
    const address = (await worker.docker('inspect', '-f', shown, 'box')).trim();
    assert.match(address, /^10\.125\.0\.1[2-9].$/);
    const says = (host: typeof worker, from: string, name: string) =>
      until(
        `${from} finds ${name}`,
        () => host.dockerResult('exec', from, 'ping', '-c1', '-W5', name),
        { accept: ({ code }) => code === 0, timeoutMs: 60_000 },
      );
    for (const name of ['nook', '10.125.0.77']) await says(worker, 'box', name);
    for (const name of ['box', 'crate', address]) await says(manager, 'nook', name);
    const taken = ['run', '-d', '--network', 'lan', '--ip', '10.125.0.77', image];
    assert.match((await manager.dockerResult(...taken)).stderr, /10\.125\.0\.77 is already in use/);
    // A daemon that comes back goes on telling the managers where its container is.
    await worker.killDaemon();
    await worker.startDaemon();
    await says(manager, 'nook', 'crate');
    await worker.cli('network', 'disconnect', 'lan', 'box');
    await worker.cli('network', 'connect', '--ip', '10.125.0.140', 'lan', 'box');
    await says(manager, 'nook', '10.125.0.140');
    await says(manager, 'nook', 'box');
    await manager.docker('rm', '-f', 'nook');
    await worker.docker('rm', '-f', 'box');
    await removed('lan');
    for (const host of swarm.hosts) {
      await until(
        `${host.name} has let go of its configuration`,
        () => host.cliResult('network', 'rm', 'here'),
        { accept: ({ code }) => code === 0, timeoutMs: 60_000 },
      );
    }
  });

  it('leave published ports alone, which answer by IPv6 as well', async () => {
    const swarm = get();
    const flags = ['--publish', '8080:80', '--constraint', 'node.hostname==h2'];
    await swarm.create('box', ...flags, imageOf(swarm, 'sleeper:1'));
    const [task] = await swarm.running('box');
    assert.ok(task);
    peers.serve(peers.inTask(swarm, task), { address: '0.0.0.0', port: 80 }, (socket) => {
      socket.end(`box ${socket.remoteAddress}`);
    });
    for (const host of swarm.hosts) {
      // A program that listens on IPv4 alone is asked from the container's own side.
      await until(
        `${host.name} answers by IPv6`,
        () => peers.ask(peers.onHost(host), '::1', 8080, 5000).catch(String),
        { accept: (answer) => answer === 'box 169.254.250.10', timeoutMs: 60_000 },
      );
    }
  });

  it('are no place for a task where the node has no such configuration', async () => {
    const swarm = get();
    await make('-d', 'macvlan', '--scope', 'swarm', '--config-from', 'nowhere', 'lost');
    const image = imageOf(swarm, 'sleeper:1');
    await swarm.createDetached('box', '--network', 'lost', '--restart-max-attempts', '1', image);
    await swarm.untilTasks('tasks fail, and say why', 'box', (tasks) =>
      tasks.some(({ err }) =>
        err.includes(
          'network lost cannot be had on this node: configuration network "nowhere" does not exist',
        ),
      ),
    );
    await swarm.clear();
    await removed('lost');
  });

  it('end at each node where they are bridges, and so do their names', async () => {
    const swarm = get();
    await make('-d', 'bridge', '--scope', 'swarm', '--subnet', '10.124.0.0/24', 'pad');
    for (const { task, address } of await started('pad')) {
      assert.match(address, /^10\.124\.0\.\d+$/);
      await found(task, 'box', [address]);
    }
    await swarm.clear();
    await removed('pad');
    for (const host of swarm.hosts) {
      await until(`${host.name} has no bridge`, () => host.exec(['ip', '-o', 'link']), {
        accept: (links) => !/ br-[0-9a-z]{12}/.test(links),
        timeoutMs: 60_000,
      });
    }
  });
});
