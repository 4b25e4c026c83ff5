/** Jobs, and services that run by the clock, on real hosts. */
import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { until } from '../lab/index.ts';
import { imageOf, ownHeartbeat, useSwarm, words, type TaskView, type TestSwarm } from './swarm.ts';

interface CronView {
  readonly JobStatus: { readonly JobIteration: { readonly Index?: number } };
  readonly CronStatus: { readonly LastTick?: string; readonly NextTick?: string };
}

describe('jobs', () => {
  const get = useSwarm({ hosts: 2, images: ['busybox:1', 'crasher:1'] });
  /** Completes once it is allowed to. */
  const waiting = ['sh', '-c', 'until test -e /go; do sleep 0.1; done'];
  const done = ({ state }: TaskView) => state === 'complete';

  /** A job is never updated bit by bit, and takes no flags for that. */
  const create = (swarm: TestSwarm, name: string, ...args: readonly string[]) =>
    swarm.cli('service', 'create', '--name', name, ...args);

  const rowOf = (swarm: TestSwarm, name: string) => {
    const format = ['--format', '{{.Mode}} {{.Replicas}}', '--filter', `name=${name}`];
    return swarm.cli('service', 'ls', ...format);
  };
  const untilRow = (swarm: TestSwarm, name: string, row: string) =>
    until(`${name} is ${row}`, () => rowOf(swarm, name), {
      accept: (now) => now === `${row}\n`,
      timeoutMs: 60_000,
    });

  async function letGo(swarm: TestSwarm, name: string): Promise<void> {
    const tasks = await swarm.untilTasks(`${name} runs`, name, (all) =>
      all.some(({ state }) => state === 'running'),
    );
    for (const task of tasks.filter(({ state }) => state === 'running')) {
      await writeFile(`/proc/${swarm.pidOf(task)}/root/go`, '');
    }
  }

  it('run so many tasks, so many at once, and once more when told to', async () => {
    const swarm = get();
    const flags = words('--mode replicated-job --replicas 4 --max-concurrent 2');
    const shown = await create(swarm, 'sums', ...flags, imageOf(swarm, 'busybox:1'), 'true');
    assert.match(shown, /job progress: 4 out of 4 complete\n(.*\n)*verify: Service .* converged/);
    await untilRow(swarm, 'sums', 'replicated job 0/2 (4/4 completed)');
    const names = await swarm.cli('service', 'ps', '--format', '{{.Name}}', 'sums');
    assert.deepEqual(names.trim().split('\n').toSorted(), ['sums.0', 'sums.1', 'sums.2', 'sums.3']);
    const again = await swarm.cli('service', 'run', 'sums');
    assert.match(again, /job progress: 4 out of 4 complete/);
    assert.equal((await swarm.tasks('sums')).filter(done).length, 8);
    await swarm.cli('service', 'scale', 'sums=1');
    await untilRow(swarm, 'sums', 'replicated job 0/2 (1/1 completed)');
    await swarm.containersAre([]);
  });

  it('say that they do not complete where tasks fail and are not to be tried again', async () => {
    const swarm = get();
    const flags = words('service create --name ill --mode replicated-job --restart-condition none');
    const result = await swarm.manager.cliResult(...flags, imageOf(swarm, 'crasher:1'));
    assert.equal(result.code, 1, result.stdout);
    assert.match(result.stderr, /service ill does not converge: 0 out of 1 tasks complete/);
    assert.equal((await swarm.tasks('ill')).length, 1);
  });

  it('run once on every node', async () => {
    const swarm = get();
    await create(
      swarm,
      'sweep',
      ...words('-d --mode global-job'),
      imageOf(swarm, 'busybox:1'),
      ...waiting,
    );
    await untilRow(swarm, 'sweep', 'global job 2/2 (0/2 completed)');
    await letGo(swarm, 'sweep');
    await untilRow(swarm, 'sweep', 'global job 0/0 (2/2 completed)');
    const hosts = (await swarm.tasks('sweep')).map(({ host }) => host);
    assert.deepEqual(hosts.toSorted(), ['h1', 'h2']);
  });

  it('run by the clock, and by hand in between', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'busybox:1');
    const cron = words('--time-zone Europe/Berlin --run-history 20');
    await swarm.cli(
      ...words('service create --name tick --schedule'),
      '*/2 * * * * *',
      ...cron,
      image,
      'true',
    );
    const view = () => swarm.manager.api<CronView>('GET', '/services/tick');
    const two = (tasks: readonly TaskView[]) => tasks.filter(done).length >= 2;
    await swarm.untilTasks('two runs have completed', 'tick', two);
    await swarm.cli('service', 'update', '--schedule', '@yearly', 'tick');
    // On a busy machine a run may still be under way.
    await swarm.untilTasks('all runs are over', 'tick', (tasks) => tasks.every(done));
    const counted = await view();
    const runs = counted.JobStatus.JobIteration.Index ?? 0;
    assert.ok(runs >= 2);
    assert.match(counted.CronStatus.NextTick ?? '', /^\d+-12-31T23:00:00Z$/);
    assert.match(await swarm.cli('service', 'run', 'tick'), /job progress: 1 out of 1 complete/);
    assert.equal((await view()).JobStatus.JobIteration.Index, runs + 1);
    await untilRow(swarm, 'tick', 'cron 0/1 (1/1 completed)');
    const tasks = await swarm.tasks('tick');
    assert.equal(tasks.filter(done).length, runs + 1);
    const ticks = tasks.slice(0, runs).map(({ createdMs }) => Math.floor(createdMs / 2000));
    assert.equal(new Set(ticks).size, runs, 'a tick began two runs');
    const pretty = await swarm.cli('service', 'inspect', '--pretty', 'tick');
    assert.match(pretty, /\nCron:\n Schedule:\t@yearly\n Time Zone:\tEurope\/Berlin\n/);
    assert.match(pretty, /\n Last Tick:\t\d{4}-/);
  });

  it('run the task of a lost host elsewhere, and not those that have completed', async () => {
    const swarm = get();
    const job = words('--mode replicated-job --replicas 2 --max-concurrent 2');
    const image = imageOf(swarm, 'busybox:1');
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', ownHeartbeat);
    await create(swarm, 'over', ...job, image, 'true');
    const before = await swarm.tasks('over');
    await create(swarm, 'slow', '-d', ...job, image, ...waiting);
    const both = (tasks: readonly TaskView[]) =>
      tasks.filter(({ state }) => state === 'running').length === 2;
    const running = await swarm.untilTasks('both tasks run', 'slow', both);
    const lost = running.find(({ host }) => host === 'h2');
    assert.ok(lost !== undefined, 'they run on both hosts');
    await swarm.host('h2').kill();
    const moved = await swarm.untilTasks('both run on h1', 'slow', (tasks) => {
      const here = tasks.filter(({ state, host }) => state === 'running' && host === 'h1');
      return here.length === 2;
    });
    assert.deepEqual(
      moved.filter(({ slot }) => slot === lost.slot).map(({ desired }) => desired),
      ['shutdown', 'complete'],
    );
    for (const task of moved.filter(({ host }) => host === 'h1')) {
      await writeFile(`/proc/${swarm.pidOf(task)}/root/go`, '');
    }
    await untilRow(swarm, 'slow', 'replicated job 0/2 (2/2 completed)');
    assert.deepEqual(
      (await swarm.tasks('over')).map(({ id, state }) => `${id} ${state}`),
      before.map(({ id }) => `${id} complete`),
    );
  });
});
