/** Daemons that stop, die and come back: containers run on, and are taken up again. */
import { strict as assert } from 'node:assert';
import { signal, sleep, until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm, type TaskView, type TestSwarm } from './swarm.ts';

const ready = 'h1 ready, h2 ready, h3 ready';

describe('daemons', () => {
  const get = useSwarm({ hosts: 3, images: ['web:1', 'sleeper:1'] });

  /** Six replicas, two on each host, that answer over HTTP. */
  async function sixReplicas(swarm: TestSwarm): Promise<readonly TaskView[]> {
    const flags = ['--replicas', '6', '--publish', 'mode=host,target=80'];
    await swarm.create('web', ...flags, '--restart-delay', '100ms', imageOf(swarm, 'web:1'));
    return swarm.runs('web', 6);
  }

  /** The very same containers, tasks and states as before, and each answers. */
  async function assertUntouched(
    swarm: TestSwarm,
    tasks: readonly TaskView[],
    containers: readonly string[],
  ): Promise<void> {
    await swarm.untilNodes(ready);
    // Were something about to be replaced, it would be within the restart's delay.
    await sleep(1000);
    const now = await swarm.tasks('web');
    assert.deepEqual(
      now.map(({ id, state, atMs }) => `${id} ${state} ${atMs}`),
      tasks.map(({ id, state, atMs }) => `${id} ${state} ${atMs}`),
    );
    assert.deepEqual(swarm.containers(), containers);
    for (const task of tasks) {
      assert.equal(await swarm.answer(task), `web:1 ${task.id.slice(0, 12)} hello`);
    }
  }

  for (const { name, stop } of [
    { name: 'killed', stop: (host: Host) => host.killDaemon() },
    { name: 'stopped', stop: (host: Host) => host.stopDaemon() },
  ]) {
    it(`takes up its containers after its daemon was ${name}`, async () => {
      const swarm = get();
      const tasks = await sixReplicas(swarm);
      const containers = swarm.containers();
      const host = swarm.host('h2');
      await stop(host);
      assert.deepEqual(swarm.containers(), containers, 'containers run on without a daemon');
      for (const task of tasks) await swarm.answer(task);
      await host.startDaemon();
      await assertUntouched(swarm, tasks, containers);
      await swarm.cli('service', 'scale', 'web=0');
      await swarm.containersAre([]);
    });
  }

  it('leaves all as it is when the manager is killed and comes back', async () => {
    const swarm = get();
    const tasks = await sixReplicas(swarm);
    const containers = swarm.containers();
    await swarm.manager.killDaemon();
    assert.deepEqual(swarm.containers(), containers);
    await swarm.manager.startDaemon();
    await assertUntouched(swarm, tasks, containers);
    await swarm.cli('service', 'scale', 'web=7');
    const ids = (await swarm.runs('web', 7)).map(({ id }) => id);
    assert.ok(tasks.every(({ id }) => ids.includes(id)));
  });

  it('runs everything on while the manager is away for longer than a node may be', async () => {
    const swarm = get();
    const tasks = await sixReplicas(swarm);
    const containers = swarm.containers();
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '500ms');
    await swarm.manager.stopDaemon();
    await sleep(4000);
    assert.deepEqual(swarm.containers(), containers);
    await swarm.manager.startDaemon();
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '10s');
    await assertUntouched(swarm, tasks, containers);
  });

  it('restarts every daemon at once without touching a container', async () => {
    const swarm = get();
    const tasks = await sixReplicas(swarm);
    const containers = swarm.containers();
    await Promise.all(swarm.hosts.map((host) => host.killDaemon()));
    await Promise.all(swarm.hosts.map((host) => host.startDaemon()));
    await assertUntouched(swarm, tasks, containers);
  });

  it('replaces what died while the daemon was away', async () => {
    const swarm = get();
    const tasks = await sixReplicas(swarm);
    const containers = swarm.containers();
    const victim = tasks.find(({ host }) => host === 'h3');
    assert.ok(victim);
    const host = swarm.host('h3');
    await host.killDaemon();
    signal(swarm.pidOf(victim), 'SIGKILL');
    await until('it is dead', () => swarm.containers().length === 5);
    await host.startDaemon();
    const isReplaced = (all: readonly TaskView[]) =>
      all.some(({ id, state }) => id === victim.id && state === 'failed');
    const seen = await swarm.untilTasks('its end is noticed', 'web', isReplaced);
    assert.match(seen.find(({ id }) => id === victim.id)?.err ?? '', /exit/);
    const after = await swarm.runs('web', 6);
    await swarm.containersAre(after);
    const kept = swarm.containers();
    const lost = containers.filter((line) => !kept.includes(line));
    assert.equal(lost.length, 1, lost.join());
    assert.ok(lost[0]?.includes(victim.id));
  });

  it('stops what was scaled away while the daemon was away', async () => {
    const swarm = get();
    await sixReplicas(swarm);
    const host = swarm.host('h3');
    await host.killDaemon();
    await swarm.cli('service', 'scale', '--detach', 'web=3');
    assert.equal(host.containers().length, 2, 'nobody is there to stop them');
    await host.startDaemon();
    const three = await swarm.runs('web', 3);
    await swarm.containersAre(three);
  });

  it('keeps containers through the end of their containerd, which is started again', async () => {
    const swarm = get();
    const tasks = await sixReplicas(swarm);
    const containers = swarm.containers();
    const host = swarm.host('h2');
    const daemon = host.daemonPid;
    const containerdOf = () =>
      host.processes().find(({ argv }) => argv[0]?.endsWith('containerd') && argv[1] === '--config')
        ?.pid;
    const first = containerdOf();
    assert.ok(first !== undefined);
    signal(first, 'SIGKILL');
    await until('another containerd runs', () => {
      const pid = containerdOf();
      return pid !== undefined && pid !== first;
    });
    await assertUntouched(swarm, tasks, containers);
    assert.equal(host.daemonPid, daemon);
    await swarm.cli('service', 'scale', 'web=9');
    const nine = await swarm.runs('web', 9);
    assert.equal(nine.filter(({ host: name }) => name === 'h2').length, 3);
    await swarm.cli('service', 'rm', 'web');
    await swarm.containersAre([]);
  });
});
