/** A swarm whose managers are lost, made again of a backup, with what ran still running. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab, until } from '../lab/index.ts';
import { TestSwarm, withDaemonLogs } from './swarm.ts';

describe('backup and restore', () => {
  let swarm: TestSwarm;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'backup-'));
    const lab = await Lab.create({ hosts: 3 });
    swarm = new TestSwarm(lab);
    await Promise.all([lab.startSwarm({ managers: 2 }), lab.image('sleeper:1')]);
    // A busy machine may take long to start a daemon: no task is to be replaced meanwhile.
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '10s');
  });
  afterEach(function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, swarm.lab);
  });
  after(async () => {
    await swarm?.lab.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('brings a swarm back whose managers have lost their quorum', async () => {
    const image = `${swarm.lab.registry.address}/sleeper:1`;
    const first = swarm.host('h1');
    const away = ['--constraint', 'node.hostname!=h1'];
    await swarm.create('calm', '--replicas', '4', ...away, image);
    const tasks = await swarm.runs('calm', 4);
    const containers = swarm.containers();
    assert.equal(containers.length, 4);

    // Any manager makes it, also one that does not lead.
    const file = join(folder, 'swarm.backup');
    const secret = join(folder, 'secret');
    const guess = join(folder, 'guess');
    writeFileSync(secret, 'correct horse battery staple\n');
    writeFileSync(guess, 'incorrect\n');
    const made = await swarm
      .host('h2')
      .cliResult('swarm', 'backup', '-o', file, '--passphrase-file', secret);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /^Backup of the swarm written to .*swarm\.backup \(\d+ bytes\)\.\n$/);
    assert.equal(made.stderr, '');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const id = await swarm.cli('info', '--format', '{{.Swarm.Cluster.ID}}');
    await swarm.create('later', '--replicas', '2', ...away, image);
    await swarm.runs('later', 2);

    await first.kill();
    rmSync(first.dataRoot, { recursive: true });
    await first.boot();
    const place = ['--advertise-addr', first.address];
    const refused = await first.cliResult(
      'swarm',
      'restore',
      ...place,
      '--passphrase-file',
      guess,
      file,
    );
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /the passphrase does not open the backup: /);
    const state = await first.cli('info', '--format', '{{.Swarm.LocalNodeState}}');
    assert.equal(state, 'inactive\n');

    const out = await first.cli('swarm', 'restore', ...place, '--passphrase-file', secret, file);
    assert.match(out, new RegExp(`^Swarm ${id.trim()} restored: current node `));
    assert.equal(await swarm.cli('info', '--format', '{{.Swarm.Cluster.ID}}'), id);
    // The old h1 is gone for good; the former manager h2 comes back as a worker.
    await until('all are back but the old h1', () => swarm.nodeStates(), {
      accept: (states) =>
        /^(h1 down, h1 ready|h1 ready, h1 unknown), h2 ready, h3 ready$/.test(states),
    });
    assert.deepEqual(
      (await swarm.runs('calm', 4)).map((task) => task.id),
      tasks.map((task) => task.id),
    );
    assert.equal(await swarm.cli('service', 'ls', '--format', '{{.Name}}'), 'calm\n');
    await swarm.containersAre(tasks);
    assert.deepEqual(swarm.containers(), containers, 'nothing was restarted');
    await until('h2 is a worker', async () => {
      const control = await swarm
        .host('h2')
        .cli('info', '--format', '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}');
      return control === 'active false\n';
    });
  });

  it('goes on after that like any other swarm', async () => {
    const first = swarm.host('h1');
    await first.killDaemon();
    await first.startDaemon();
    const ids = (await swarm.runs('calm', 4)).map((task) => task.id);
    await swarm.cli('service', 'scale', 'calm=5');
    const more = await swarm.runs('calm', 5);
    for (const id of ids) assert.ok(more.some((task) => task.id === id));
    // It would be down only after the grace of a new leader, for which nobody waits here.
    const own = (await swarm.cli('info', '--format', '{{.Swarm.NodeID}}')).trim();
    const gone = (await swarm.nodes()).find(({ host, id }) => host === 'h1' && id !== own);
    await swarm.cli('node', 'rm', '--force', gone?.id ?? '');
    await swarm.cli('node', 'promote', 'h2');
    await until('h2 is a manager again', async () => {
      return (await swarm.host('h2').cli('node', 'ls', '-q')).trim().split('\n').length === 3;
    });
  });

  it('brings specs back into a swarm that runs', async () => {
    const file = join(folder, 'second.backup');
    const made = await swarm.manager.cliResult('swarm', 'backup', '--output', file);
    assert.match(made.stderr, /^WARNING: .* is not encrypted, and holds the key of the swarm/);
    await swarm.cli('service', 'update', '--detach', '--env-add', 'A=1', 'calm');
    await swarm.cli('service', 'scale', '--detach', 'calm=1');
    await swarm.cli('node', 'update', '--label-add', 'zone=a', 'h3');
    const refused = await swarm.manager.cliResult('swarm', 'restore', file);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /this node is in a swarm: --force makes the services/);
    // Any manager takes it, also one that does not lead.
    const out = await swarm.host('h2').cli('swarm', 'restore', '--force', file);
    assert.match(out, /^Restored into the running swarm: 0 services created, 2 services, nodes /);
    await swarm.untilTasks('all five run as they were', 'calm', (tasks) => {
      const wanted = tasks.filter(({ desired }) => desired === 'running');
      const asBefore = wanted.filter(({ state, env }) => state === 'running' && env.length === 0);
      return wanted.length === 5 && asBefore.length === 5;
    });
    const labels = await swarm.cli('node', 'inspect', 'h3', '--format', '{{json .Spec.Labels}}');
    assert.equal(labels, '{}\n');
  });

  it('encrypts with the unlock key where autolock is on', async () => {
    await swarm.cli('swarm', 'update', '--autolock=true');
    const key = join(folder, 'unlock-key');
    writeFileSync(key, await swarm.cli('unlock-key', '--quiet'));
    const file = join(folder, 'locked.backup');
    const made = await swarm.manager.cliResult('swarm', 'backup', '-o', file);
    assert.equal(`${made.code} ${made.stderr}`, '0 ');
    assert.ok(!readFileSync(file).includes('PRIVATE KEY'));
    const refused = await swarm.manager.cliResult('swarm', 'restore', '--force', file);
    assert.match(refused.stderr, /the backup is encrypted: give its passphrase, or the unlock key/);
    const out = await swarm.cli('swarm', 'restore', '--force', '--passphrase-file', key, file);
    assert.match(out, /: 0 services created, 0 services, nodes and settings changed, 0 services/);
  });
});
