/** How hosts get into a swarm and out of it, and how they are kept out. */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { binary, Lab, until, type Host } from '../lab/index.ts';
import { TestSwarm, imageOf, withDaemonLogs, words, type TaskView } from './swarm.ts';

interface SwarmInfo {
  readonly LocalNodeState: string;
  readonly NodeID: string;
  readonly Error: string;
}

/** h1 manages a swarm that h2 and h3 are in or out of; h4 is a swarm of its own. */
describe('membership', () => {
  let lab: Lab;
  let swarm: TestSwarm;
  let h1: Host;
  let h3: Host;
  let h4: Host;
  let token: string;

  before(async () => {
    lab = await Lab.create({ hosts: 4 });
    swarm = new TestSwarm(lab);
    [h1, h3, h4] = [lab.host('h1'), lab.host('h3'), lab.host('h4')];
    const image = lab.image('sleeper:1');
    await Promise.all(lab.hosts.map((host) => host.startDaemon()));
    await h4.cli('init', '--advertise-addr', h4.address);
    await image;
  });
  afterEach(async function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, lab);
    assert.equal((await infoOf(h4)).LocalNodeState, 'active', 'the other swarm lives');
  });
  after(() => lab.close());

  it('makes a swarm, and prints the line that other hosts join it with', async () => {
    const before = await h1.cliResult('service', 'ls');
    assert.equal(before.code, 1);
    assert.match(before.stderr, /This node is not a swarm manager\. Use "\S+ swarm init"/);
    const out = await h1.cli('init', '--advertise-addr', h1.address);
    assert.match(out, /^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager\.\n/);
    const line = /ts-swarm join --token (SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}) (\S+)\n/.exec(out);
    assert.equal(line?.[2], `${h1.address}:2377`);
    token = line?.[1] ?? '';
    // No node is to be taken for lost because the machine is busy.
    await h1.cli('swarm', 'update', '--dispatcher-heartbeat', '10s');
    assert.equal(await h1.cli('join-token', '-q', 'worker'), `${token}\n`);
    const again = await h1.cliResult('init', '--advertise-addr', h1.address);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /already part of a swarm/);
  });

  it('lets a host in by token', async () => {
    const out = await lab.host('h2').cli('join', '--token', token, `${h1.address}:2377`);
    assert.equal(out, 'This node joined a swarm as a worker.\n');
    await swarm.untilNodes('h1 ready, h2 ready');
    const format = '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}';
    const rows = (await h1.cli('node', 'ls', '--format', format)).split('\n');
    assert.deepEqual(rows.toSorted(), ['', 'h1 Ready Active Leader', 'h2 Ready Active ']);
    assert.match(await h1.cli('node', 'ls'), /^[0-9a-z]{25} \* +h1 +Ready +Active +Leader /m);
    const twice = await lab.host('h2').cliResult('join', '--token', token, `${h1.address}:2377`);
    assert.equal(twice.code, 1);
    assert.match(twice.stderr, /already part of a swarm/);
  });

  const wrongSecret = () => token.slice(0, -1) + (token.endsWith('0') ? '1' : '0');
  for (const { name, args, says } of [
    {
      name: 'with a wrong token',
      args: () => ['--token', wrongSecret(), `${h1.address}:2377`],
      says: /A valid join token is necessary/,
    },
    {
      name: 'with the token of another swarm',
      args: async () => ['--token', await tokenOf(h4), `${h1.address}:2377`],
      says: /the token is of another swarm/,
    },
    {
      name: 'with what is no token',
      args: () => ['--token', 'please', `${h1.address}:2377`],
      says: /invalid join token: it must read SWMTKN-1-/,
    },
    {
      name: 'without a token',
      args: () => [`${h1.address}:2377`],
      says: /join token/,
    },
    {
      name: 'at a port where nobody listens',
      args: () => ['--token', token, `${h1.address}:2399`],
      says: /refused/i,
    },
    {
      name: 'at an address that no host has',
      args: () => ['--token', token, h1.address.replace(/\d+$/, '200:2377')],
      says: /:2377 cannot be reached/,
    },
    {
      name: 'at a worker',
      args: () => ['--token', token, `${lab.host('h2').address}:2377`],
      says: /refused/i,
    },
  ]) {
    it(`keeps a host out that comes ${name}`, async () => {
      const result = await h3.cliResult('join', ...(await args()));
      assert.equal(result.code, 1, result.stdout);
      assert.match(result.stderr, says);
      assert.ok(result.stderr.trim().split('\n').length <= 3, result.stderr);
      assert.equal((await infoOf(h3)).LocalNodeState, 'inactive');
      assert.ok(!existsSync(`${h3.dataRoot}/swarm/membership.json`));
      assert.equal(await swarm.nodeStates(), 'h1 ready, h2 ready');
    });
  }

  it('lets nobody in by a token that was replaced', async () => {
    const old = token;
    const rotated = await h1.cli('join-token', '--rotate', '--quiet', 'worker');
    token = rotated.trim();
    assert.notEqual(token, old);
    const refused = await h3.cliResult('join', '--token', old, `${h1.address}:2377`);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /token/i);
    await h3.cli('join', '--token', token, `${h1.address}:2377`);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
  });

  it('lets workers change and see nothing', async () => {
    const h2 = lab.host('h2');
    for (const command of [
      'node ls',
      'service ls',
      `service create --name sneaky ${imageOf(swarm, 'sleeper:1')}`,
      'node update --availability drain h1',
      'join-token worker',
    ]) {
      const result = await h2.cliResult(...words(command));
      assert.equal(result.code, 1, command);
      assert.match(result.stderr, /Worker nodes can't be used to view or modify cluster state/);
      assert.equal(result.stdout, '', command);
    }
    for (const path of ['/services', '/tasks', '/nodes', '/swarm']) {
      assert.equal((await h2.apiResult('GET', path)).status, 503, path);
    }
    assert.equal((await swarm.cli('service', 'ls', '-q')).trim(), '');
  });

  it('stops what a worker ran when it leaves, and runs it elsewhere', async () => {
    await swarm.create('calm', '--replicas', '3', imageOf(swarm, 'sleeper:1'));
    const before = await swarm.runs('calm', 3);
    assert.equal(before.filter(({ host }) => host === 'h3').length, 1);
    assert.equal(await h3.cli('leave'), 'Node left the swarm.\n');
    await swarm.untilNodes('h1 ready, h2 ready, h3 down');
    const nodes = await h1.api<{ Status: { State: string; Message?: string } }[]>('GET', '/nodes');
    const down = nodes.find(({ Status }) => Status.State === 'down');
    assert.equal(down?.Status.Message, 'the node has left', 'it is not taken for lost');
    await until('its container is gone', () => h3.containers().length === 0);
    assert.equal((await infoOf(h3)).LocalNodeState, 'inactive');
    const isMoved = (tasks: readonly TaskView[]) =>
      tasks.filter(({ state, desired, host }) => {
        return state === 'running' && desired === 'running' && host !== 'h3';
      }).length === 3;
    await swarm.untilTasks('three run elsewhere', 'calm', isMoved);

    assert.equal(await swarm.cli('node', 'rm', 'h3'), 'h3\n');
    assert.equal(await swarm.nodeStates(), 'h1 ready, h2 ready');
    await swarm.untilTasks('its task is forgotten', 'calm', ({ length }) => length === 3);
    await h3.cli('join', '--token', token, `${h1.address}:2377`);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
    await swarm.cli('service', 'scale', 'calm=4');
    const four = await swarm.runs('calm', 4);
    assert.ok(four.some(({ host }) => host === 'h3'));
    await swarm.clear();
  });

  it('does not let the last manager go by mistake', async () => {
    const refused = await h1.cliResult('leave');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Removing the last manager erases all current state/);
    assert.equal(await swarm.nodeStates(), 'h1 ready, h2 ready, h3 ready');
    const removed = await h1.cliResult('node', 'rm', '--force', 'h1');
    assert.equal(removed.code, 1);
    assert.match(removed.stderr, /manager/);
  });

  it('runs one daemon on a data root', async () => {
    const h2 = lab.host('h2');
    const second = await h2.execResult([
      binary,
      ...words(`daemon --data-root=${h2.dataRoot} --run-root=${h2.runRoot}-2 --log-level=error`),
    ]);
    assert.equal(second.code, 1);
    const sentence = /a daemon with process id \d+ already runs on \S+: stop it, or start this one/;
    assert.match(second.stderr, sentence);
    assert.equal((await h2.apiResult('GET', '/_ping')).status, 200);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
  });

  it('ends the swarm with its last manager, who can begin another', async () => {
    await h1.cli('leave', '--force');
    const result = await h1.cliResult('node', 'ls');
    assert.equal(result.code, 1);
    assert.match(result.stderr, /not a swarm manager/);
    await h1.cli('init', '--advertise-addr', h1.address, '--dispatcher-heartbeat', '10s');
    await swarm.untilNodes('h1 ready');
    // Its old workers hold certificates of a swarm that is no more.
    for (const name of ['h2', 'h3']) await lab.host(name).cli('leave', '--force');
    const fresh = await tokenOf(h1);
    await h3.cli('join', '--token', fresh, `${h1.address}:2377`);
    await swarm.untilNodes('h1 ready, h3 ready');
  });

  it('starts the daemon of a host that has none', async () => {
    const h2 = lab.host('h2');
    await h2.stopDaemon();
    const fresh = await tokenOf(h1);
    const out = await h2.exec([
      binary,
      ...words(`join --token ${fresh} --data-root=${h2.dataRoot} --run-root=${h2.runRoot}`),
      `${h1.address}:2377`,
    ]);
    assert.equal(out, 'This node joined a swarm as a worker.\n');
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
  });

  it('takes a host back that was in a swarm when its daemon died', async () => {
    await h1.killDaemon();
    const roots = words(`--data-root=${h1.dataRoot} --run-root=${h1.runRoot}`);
    const out = await h1.exec([binary, 'init', ...roots]);
    assert.match(out, /^This node was in a swarm already, .* back there, as a manager; nothing/);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
    assert.match((await h1.cliResult('init')).stderr, /already part of a swarm/);
  });
});

async function infoOf(host: Host): Promise<SwarmInfo> {
  return (await host.api<{ Swarm: SwarmInfo }>('GET', '/info')).Swarm;
}

async function tokenOf(host: Host): Promise<string> {
  return (await host.cli('join-token', '--quiet', 'worker')).trim();
}
