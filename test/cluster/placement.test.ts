/** Where tasks may go, and what users are told while there is no place for them. */
import { strict as assert } from 'node:assert';
import { availableParallelism } from 'node:os';
import { sleep } from '../lab/index.ts';
import { imageOf, useSwarm, type TaskView, type TestSwarm } from './swarm.ts';

describe('placement', () => {
  const get = useSwarm({ hosts: 3, images: ['web:1', 'sleeper:1'] });

  afterEach(async () => {
    const swarm = get();
    for (const { host, availability } of await swarm.nodes()) {
      if (availability !== 'active') await setAvailability(swarm, host, 'active');
    }
  });

  for (const { name, flags, replicas, running, reason } of [
    {
      name: 'a constraint that fits no node',
      flags: ['--constraint', 'node.labels.disk==ssd'],
      replicas: 2,
      running: 0,
      reason: 'no suitable node (scheduling constraints not satisfied on 3 nodes)',
    },
    {
      name: 'a port that is taken on every host',
      flags: ['--publish', 'mode=host,published=8080,target=80'],
      replicas: 4,
      running: 3,
      reason: 'no suitable node (host-mode port already in use on 3 nodes)',
    },
    {
      name: 'as many replicas per node as allowed',
      flags: ['--replicas-max-per-node', '1'],
      replicas: 5,
      running: 3,
      reason: 'no suitable node (max replicas per node limit exceed)',
    },
    {
      name: 'more memory than any host has',
      flags: ['--reserve-memory', '4T'],
      replicas: 1,
      running: 0,
      reason: 'no suitable node (insufficient resources on 3 nodes)',
    },
    {
      name: 'more CPUs than the hosts have left',
      // Each host has all CPUs of the machine.
      flags: ['--reserve-cpu', String(availableParallelism())],
      replicas: 4,
      running: 3,
      reason: 'no suitable node (insufficient resources on 3 nodes)',
    },
  ]) {
    it(`keeps tasks waiting, and says why: ${name}`, async () => {
      const swarm = get();
      const image = imageOf(swarm, 'web:1');
      await swarm.createDetached('fussy', '--replicas', String(replicas), ...flags, image);
      const settled = (tasks: readonly TaskView[]) =>
        tasks.length === replicas &&
        tasks.filter(({ state }) => state === 'running').length === running &&
        tasks.filter(({ state, err }) => state === 'pending' && err === reason).length ===
          replicas - running;
      const tasks = await swarm.untilTasks('some run, some wait', 'fussy', settled);
      const hosts = tasks.filter(({ state }) => state === 'running').map(({ host }) => host);
      assert.equal(new Set(hosts).size, running, 'each on a host of its own');
      const format = '{{.CurrentState}} {{.Error}}';
      const shown = await swarm.cli('service', 'ps', '--no-trunc', '--format', format, 'fussy');
      const waiting = shown.split('\n').filter((line) => line.includes(`"${reason}"`));
      assert.equal(waiting.length, replicas - running, shown);
      assert.ok(waiting.every((line) => line.startsWith('Pending ')));
    });
  }

  it('starts what waited once a label makes a node fit, and moves it when the label goes', async () => {
    const swarm = get();
    const constraint = ['--constraint', 'node.labels.disk==ssd'];
    const image = imageOf(swarm, 'sleeper:1');
    const create = swarm.create('picky', '--replicas', '2', ...constraint, image);
    const isPending = (tasks: readonly TaskView[]) =>
      tasks.length === 2 && tasks.every(({ state, host }) => state === 'pending' && host === '');
    await swarm.untilTasks('both wait', 'picky', isPending);
    await swarm.cli('node', 'update', '--label-add', 'disk=ssd', 'h3');
    // The command that created it was waiting all the while.
    assert.match(await create, /converged/);
    const tasks = await swarm.runs('picky', 2);
    assert.deepEqual(
      tasks.map(({ host }) => host),
      ['h3', 'h3'],
    );
    await swarm.cli('node', 'update', '--label-add', 'disk=ssd', 'h2');
    await swarm.cli('node', 'update', '--label-rm', 'disk', 'h3');
    const isMoved = (all: readonly TaskView[]) =>
      all.filter(({ host, state }) => host === 'h2' && state === 'running').length === 2;
    await swarm.untilTasks('both have moved', 'picky', isMoved);
    await swarm.containersAre(await swarm.runs('picky', 2));
    await swarm.cli('node', 'update', '--label-rm', 'disk', 'h2');
  });

  it('gives a waiting task the port that another service lets go', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'web:1');
    const port = ['--publish', 'mode=host,published=8080,target=80'];
    await swarm.create('first', '--replicas', '3', ...port, image);
    await swarm.createDetached('second', ...port, '--restart-delay', '100ms', image);
    const waits = ([task]: readonly TaskView[]) => task?.state === 'pending';
    await swarm.untilTasks('it waits', 'second', waits);
    await swarm.cli('service', 'scale', 'first=2');
    const [task] = await swarm.runs('second', 1);
    assert.ok(task);
    assert.equal(task.port, 8080);
    assert.equal(await swarm.answer(task), `web:1 ${task.id.slice(0, 12)} hello`);
  });

  it('empties a drained node, and gives it work again once it is active', async () => {
    const swarm = get();
    await swarm.create('calm', '--replicas', '6', imageOf(swarm, 'sleeper:1'));
    const before = await swarm.runs('calm', 6);
    assert.equal(before.filter(({ host }) => host === 'h2').length, 2);
    await setAvailability(swarm, 'h2', 'drain');
    const isMoved = (tasks: readonly TaskView[]) =>
      tasks.filter(({ host, state, desired }) => {
        return host !== 'h2' && state === 'running' && desired === 'running';
      }).length === 6;
    await swarm.untilTasks('all run elsewhere', 'calm', isMoved);
    const after = await swarm.runs('calm', 6);
    await swarm.containersAre(after);
    const stayed = before.filter(({ host }) => host !== 'h2').map(({ id }) => id);
    const ids = after.map(({ id }) => id);
    assert.ok(
      stayed.every((id) => ids.includes(id)),
      'tasks on other nodes were left alone',
    );
    assert.match(await swarm.cli('node', 'ls'), /h2 +Ready +Drain/);

    await setAvailability(swarm, 'h2', 'active');
    await sleep(500);
    assert.deepEqual(
      (await swarm.runs('calm', 6)).map(({ id }) => id),
      ids,
      'nothing moves back on its own',
    );
    await swarm.cli('service', 'scale', 'calm=9');
    const nine = await swarm.runs('calm', 9);
    assert.equal(nine.filter(({ host }) => host === 'h2').length, 3);
  });

  it('gives a paused node nothing new, and leaves what it has', async () => {
    const swarm = get();
    await swarm.create('calm', '--replicas', '3', imageOf(swarm, 'sleeper:1'));
    const three = await swarm.runs('calm', 3);
    await setAvailability(swarm, 'h3', 'pause');
    await swarm.cli('service', 'scale', 'calm=7');
    const seven = await swarm.runs('calm', 7);
    assert.equal(seven.filter(({ host }) => host === 'h3').length, 1);
    const ids = seven.map(({ id }) => id);
    assert.ok(three.every(({ id }) => ids.includes(id)));
  });

  it('takes work from no node that is not one of the service, in global mode', async () => {
    const swarm = get();
    const notFirst = ['--mode', 'global', '--constraint', 'node.role==worker'];
    await swarm.create('workers', ...notFirst, imageOf(swarm, 'sleeper:1'));
    const hosts = (await swarm.runs('workers', 2)).map(({ host }) => host);
    assert.deepEqual(hosts.toSorted(), ['h2', 'h3']);
    await setAvailability(swarm, 'h2', 'drain');
    const [left] = await swarm.runs('workers', 1);
    assert.equal(left?.host, 'h3');
    await setAvailability(swarm, 'h2', 'active');
    await swarm.containersAre(await swarm.runs('workers', 2));
  });
});

function setAvailability(swarm: TestSwarm, host: string, availability: string): Promise<string> {
  return swarm.cli('node', 'update', '--availability', availability, host);
}
