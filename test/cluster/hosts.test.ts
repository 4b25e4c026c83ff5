/** Hosts that are lost, cut off, and come back: so many replicas as wanted, and no more. */
import { strict as assert } from 'node:assert';
import { sleep, until } from '../lab/index.ts';
import { imageOf, ownHeartbeat, useSwarm, words, type TaskView, type TestSwarm } from './swarm.ts';

const allReady = 'h1 ready, h2 ready, h3 ready, h4 ready';

describe('hosts', () => {
  const get = useSwarm({ heartbeat: ownHeartbeat, hosts: 4, images: ['web:1', 'talker:1'] });

  async function eightReplicas(swarm: TestSwarm): Promise<readonly TaskView[]> {
    const flags = words('--replicas 8 --restart-delay 100ms --publish mode=host,target=80');
    await swarm.create('web', ...flags, imageOf(swarm, 'web:1'));
    const tasks = await swarm.runs('web', 8);
    assert.equal(tasks.filter(({ host }) => host === 'h4').length, 2);
    return tasks;
  }

  /** Eight replicas run on the first three hosts; those that ran there before are the same. */
  async function runsWithout4(
    swarm: TestSwarm,
    before: readonly TaskView[],
  ): Promise<readonly TaskView[]> {
    const isMoved = (tasks: readonly TaskView[]) => {
      const running = tasks.filter(({ state, desired, host }) => {
        return state === 'running' && desired === 'running' && host !== 'h4';
      });
      return running.length === 8;
    };
    await swarm.untilTasks('eight replicas run without h4', 'web', isMoved);
    const after = await swarm.runs('web', 8);
    const ids = after.map(({ id }) => id);
    const stayed = before.filter(({ host }) => host !== 'h4').map(({ id }) => id);
    assert.ok(
      stayed.every((id) => ids.includes(id)),
      'replicas elsewhere were left alone',
    );
    for (const task of after) assert.match(await swarm.answer(task), /^web:1 /);
    return after;
  }

  it('moves the replicas of a lost host, and stops what it brings back', async () => {
    const swarm = get();
    const h4 = swarm.host('h4');
    const before = await eightReplicas(swarm);
    await h4.kill();
    const after = await runsWithout4(swarm, before);
    assert.match(await swarm.cli('node', 'ls'), /h4 +Down +Active/);
    const shown = await swarm.cli('service', 'ls', '--format', '{{.Replicas}}');
    assert.equal(shown, '8/8\n');

    await h4.boot();
    await swarm.untilNodes(allReady);
    await swarm.containersAre(after);
    const stale = before.filter(({ host }) => host === 'h4').map(({ id }) => id);
    const settled = (tasks: readonly TaskView[]) =>
      tasks.every(
        ({ id, state }) => !stale.includes(id) || state === 'shutdown' || state === 'failed',
      );
    await swarm.untilTasks('the lost tasks have ended', 'web', settled);
    const again = await swarm.runs('web', 8);
    assert.deepEqual(
      again.map(({ id }) => id),
      after.map(({ id }) => id),
      'nothing moves back on its own',
    );
    await swarm.cli('service', 'scale', 'web=10');
    const ten = await swarm.runs('web', 10);
    assert.equal(ten.filter(({ host }) => host === 'h4').length, 2);
    await swarm.containersAre(ten);
  });

  it('keeps what runs on a host whose daemon is away for longer than a silence is borne', async () => {
    const swarm = get();
    const h4 = swarm.host('h4');
    const before = await eightReplicas(swarm);
    await h4.stopDaemon();
    await sleep(4_000);
    assert.match(await swarm.cli('node', 'ls'), /h4 +Ready +Active/);
    for (const task of before) assert.match(await swarm.answer(task), /^web:1 /);
    await h4.startDaemon();
    await swarm.cli('service', 'scale', 'web=9');
    const after = await swarm.runs('web', 9);
    const ids = after.map(({ id }) => id);
    assert.ok(
      before.every(({ id }) => ids.includes(id)),
      'no replica was replaced',
    );
  });

  it('starts again on the same host what was lost with it for a moment only', async () => {
    const swarm = get();
    const h4 = swarm.host('h4');
    const before = await eightReplicas(swarm);
    await h4.kill();
    await h4.boot();
    await swarm.untilNodes(allReady);
    const lost = before.filter(({ host }) => host === 'h4').map(({ id }) => id);
    const isReplaced = (tasks: readonly TaskView[]) =>
      tasks.filter(({ state, desired }) => state === 'running' && desired === 'running').length ===
        8 && tasks.every(({ id, state }) => !lost.includes(id) || state !== 'running');
    await swarm.untilTasks('its tasks are replaced', 'web', isReplaced);
    await swarm.containersAre(await swarm.runs('web', 8));
  });

  it('replaces what a cut link hides, and stops it once the link is back', async () => {
    const swarm = get();
    const h4 = swarm.host('h4');
    const before = await eightReplicas(swarm);
    const hidden = swarm.containers().filter((line) => line.startsWith('h4 '));
    await h4.cutLink();
    const after = await runsWithout4(swarm, before);
    const still = swarm.containers().filter((line) => line.startsWith('h4 '));
    assert.deepEqual(still, hidden, 'a host that is cut off runs its tasks on');
    assert.equal(swarm.containers().length, 10);

    await h4.restoreLink();
    await swarm.untilNodes(allReady);
    await swarm.containersAre(after);
    const again = await swarm.runs('web', 8);
    assert.deepEqual(
      again.map(({ id }) => id),
      after.map(({ id }) => id),
    );
  });

  it('restarts nothing for a link that fails for a second and a half', async () => {
    const swarm = get();
    const before = await eightReplicas(swarm);
    const containers = swarm.containers();
    const states = new Set<string>();
    for (const name of ['h4', 'h2']) {
      await swarm.host(name).cutLink();
      const back = new AbortController();
      // Beside the looks, which a busy machine may take long for.
      const restored = sleep(1500).then(async () => {
        await swarm.host(name).restoreLink();
        back.abort();
      });
      while (!back.signal.aborted) {
        for (const { state } of await swarm.nodes()) states.add(state);
        await sleep(50);
      }
      await restored;
      await sleep(1500);
    }
    await swarm.untilNodes(allReady);
    assert.ok(!states.has('down'), [...states].join());
    const after = await swarm.tasks('web');
    assert.deepEqual(
      after.map(({ id, state, desired }) => `${id} ${state} ${desired}`),
      before.map(({ id, state, desired }) => `${id} ${state} ${desired}`),
    );
    assert.deepEqual(swarm.containers(), containers);
  });

  // Of a fifth, TCP's attempts would all be lost within three seconds once in some hundred runs.
  it('restarts nothing for a link that loses a tenth of its packets', async () => {
    const swarm = get();
    const before = await eightReplicas(swarm);
    const h4 = swarm.host('h4');
    await h4.dropPackets(10);
    try {
      await sleep(4500);
    } finally {
      await h4.dropPackets(0);
    }
    await swarm.untilNodes(allReady);
    const after = await swarm.tasks('web');
    assert.deepEqual(
      after.map(({ id }) => id),
      before.map(({ id }) => id),
    );
  });

  it('keeps to the number of replicas when the manager is cut off from all', async () => {
    const swarm = get();
    const before = await eightReplicas(swarm);
    await swarm.manager.cutLink();
    await swarm.untilNodes('h1 ready, h2 down, h3 down, h4 down');
    const onManager = (tasks: readonly TaskView[]) =>
      tasks.filter(({ host, state, desired }) => {
        return host === 'h1' && state === 'running' && desired === 'running';
      }).length === 8;
    await swarm.untilTasks('all run beside the manager', 'web', onManager);
    const elsewhere = swarm.containers().filter((line) => !line.startsWith('h1 '));
    assert.equal(elsewhere.length, before.filter(({ host }) => host !== 'h1').length);
    await swarm.manager.restoreLink();
    await swarm.untilNodes(allReady);
    await swarm.containersAre(await swarm.runs('web', 8));
  });

  it('tells whose logs are missing while a node is down, and does not hang', async () => {
    const swarm = get();
    const flags = ['--replicas', '4', '--env', 'LINES=2'];
    await swarm.create('talk', ...flags, imageOf(swarm, 'talker:1'));
    const lines = async () => (await swarm.cli('service', 'logs', 'talk')).trim().split('\n');
    await until('all have spoken', async () => (await lines()).length === 8);
    await swarm.host('h4').kill();
    // Also before the managers have noticed.
    const early = await swarm.manager.cliResult('service', 'logs', 'talk');
    assert.equal(early.stdout.trim().split('\n').length, 6, early.stdout);
    assert.equal(early.code, 1);
    const missing = /logs of task talk\.4\.\S+ on node h4 cannot be had: /;
    assert.match(early.stderr, missing);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready, h4 down');
    const late = await swarm.manager.cliResult('service', 'logs', 'talk');
    assert.ok(late.stdout.trim().split('\n').length >= 6, late.stdout);
    assert.equal(late.code, 1);
    assert.match(late.stderr, missing);
    assert.match(late.stderr, /node is down/);
  });

  it('forgets the tasks of a lost node that is removed', async () => {
    const swarm = get();
    await eightReplicas(swarm);
    const h4 = swarm.host('h4');
    const refused = await swarm.manager.cliResult('node', 'rm', 'h4');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /is not down and can't be removed/);
    await h4.kill();
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready, h4 down');
    assert.equal(await swarm.cli('node', 'rm', 'h4'), 'h4\n');
    assert.equal(await swarm.nodeStates(), 'h1 ready, h2 ready, h3 ready');
    const forgotten = (tasks: readonly TaskView[]) =>
      tasks.length === 8 && tasks.every(({ host, state }) => host !== '' && state === 'running');
    await swarm.untilTasks('only the eight are left', 'web', forgotten);

    // It comes back, is told that it does not belong, and is let in anew.
    await h4.boot();
    await swarm.cli('service', 'scale', '--detach', 'web=9');
    await swarm.containersAre((await swarm.runs('web', 9)).filter(({ host }) => host !== ''));
    assert.equal(await swarm.nodeStates(), 'h1 ready, h2 ready, h3 ready');
    await h4.cli('leave', '--force');
    const token = (await swarm.cli('join-token', '--quiet', 'worker')).trim();
    await h4.cli('join', '--token', token, `${swarm.manager.address}:2377`);
    await swarm.untilNodes(allReady);
  });
});
