/** A swarm that lost its quorum for good goes on with one manager, its services and its tasks. */
import { strict as assert } from 'node:assert';
import { Lab, until } from '../lab/index.ts';
import { TestSwarm, withDaemonLogs } from './swarm.ts';

describe('init --force-new-cluster', () => {
  let swarm: TestSwarm;
  before(async () => {
    const lab = await Lab.create({ hosts: 4 });
    swarm = new TestSwarm(lab);
    await Promise.all([lab.startSwarm({ managers: 3 }), lab.image('sleeper:1')]);
    // No node is to be missed on a busy machine, or its tasks are replaced.
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '10s');
  });
  afterEach(function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, swarm.lab);
  });
  after(() => swarm?.lab.close());

  it('is refused where there is nothing to recover', async () => {
    const worker = swarm.host('h4');
    const { code, stderr } = await worker.cliResult('init', '--force-new-cluster');
    assert.equal(code, 1);
    assert.match(stderr, /this node is no manager of a swarm that could be recovered/);
  });

  it('recovers from a lost quorum with services and tasks intact', async () => {
    const [first, second, third] = ['h1', 'h2', 'h3'].map((name) => swarm.host(name));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const image = `${swarm.lab.registry.address}/sleeper:1`;
    const kept = ['--constraint', 'node.hostname!=h2', '--constraint', 'node.hostname!=h3'];
    await swarm.create('kept', '--replicas', '4', ...kept, image);
    const before = await swarm.runs('kept', 4);

    await Promise.all([second.kill(), third.kill()]);
    await until(
      'the swarm says that it has lost its leader',
      async () => (await first.cliResult('node', 'ls')).stderr,
      { timeoutMs: 60_000, accept: (stderr) => /The swarm does not have a leader/.test(stderr) },
    );
    const refused = await first.cliResult('service', 'scale', '-d', 'kept=5');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /does not have a leader/);

    await first.cli('init', '--force-new-cluster');
    await swarm.cli('service', 'scale', '-d', 'kept=5');
    const after = await swarm.runs('kept', 5);
    const ids = new Set(after.map(({ id }) => id));
    for (const { id, slot } of before) assert.ok(ids.has(id), `task of slot ${slot} was replaced`);
    const managers = await swarm.cli(
      'node',
      'ls',
      '--filter',
      'role=manager',
      '--format',
      '{{.Hostname}}',
    );
    assert.equal(managers.trim(), 'h1');

    // A manager of the old group that comes back is a worker of the new one.
    await second.boot();
    await until('h2 is back', () => swarm.nodeStates(), {
      timeoutMs: 40_000,
      accept: (states) => states.includes('h2 ready'),
    });
    await until('h2 is a worker', async () => (await second.cliResult('node', 'ls')).stderr, {
      timeoutMs: 40_000,
      accept: (stderr) => /Worker nodes can't be used/.test(stderr),
    });
  });

  it('tells a manager that was removed meanwhile, which then leaves without force', async () => {
    const third = swarm.host('h3');
    await swarm.cli('node', 'rm', '--force', 'h3');
    await third.boot();
    await until('h3 is told', async () => (await third.cliResult('node', 'ls')).stderr, {
      timeoutMs: 40_000,
      accept: (stderr) => /has been removed from the swarm; run "ts-swarm leave"/.test(stderr),
    });
    assert.equal(await third.cli('leave'), 'Node left the swarm.\n');
    const token = (await swarm.cli('join-token', '--quiet', 'worker')).trim();
    await third.cli('join', '--token', token, `${swarm.manager.address}:2377`);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready, h4 ready', 40_000);
  });
});
