/** What happens to containers that end, run out of memory, or never become healthy. */
import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { signal, sleep, until } from '../lab/index.ts';
import { imageOf, useSwarm, words, type TaskView } from './swarm.ts';

interface WireEvent {
  readonly Action: string;
  readonly Actor: { readonly Attributes: Readonly<Record<string, string>> };
}

describe('restarts', () => {
  const get = useSwarm({ hosts: 2, images: ['web:1', 'sleeper:1', 'crasher:1', 'memhog:1'] });
  const ended = ({ state }: TaskView) => state === 'failed' || state === 'complete';
  const isFailure = ({ state }: TaskView) => state === 'failed';

  for (const { name, code, policy, states } of [
    { name: 'tries again as often as allowed', code: 3, policy: 'on-failure', states: 3 },
    {
      name: 'lets a success be where only failures count',
      code: 0,
      policy: 'on-failure',
      states: 1,
    },
    { name: 'tries again after a success where any end counts', code: 0, policy: 'any', states: 3 },
    { name: 'leaves ended what is not to be restarted', code: 3, policy: 'none', states: 1 },
  ]) {
    it(name, async () => {
      const swarm = get();
      await swarm.createDetached(
        'job',
        ...words(`--restart-condition ${policy} --restart-max-attempts 2 --restart-delay 100ms`),
        ...words(`--env CODE=${code}`),
        imageOf(swarm, 'crasher:1'),
      );
      const all = (tasks: readonly TaskView[]) => tasks.length === states && tasks.every(ended);
      await swarm.untilTasks(`${states} tasks have ended`, 'job', all);
      // Nothing is to come after the last one; a restart would be there within its delay.
      await sleep(600);
      const tasks = await swarm.tasks('job');
      assert.equal(tasks.length, states);
      for (const task of tasks) {
        assert.equal(task.state, code === 0 ? 'complete' : 'failed');
        assert.equal(task.err, code === 0 ? '' : `task: non-zero exit (${code})`);
        assert.equal(task.exitCode ?? 0, code);
      }
    });
  }

  it('holds the next attempt of a crash loop back for its delay', async () => {
    const swarm = get();
    const delayMs = 1200;
    const image = imageOf(swarm, 'crasher:1');
    await swarm.createDetached('loop', '--restart-delay', `${delayMs}ms`, image);
    const thrice = (tasks: readonly TaskView[]) => tasks.filter(isFailure).length >= 3;
    const tasks = (await swarm.untilTasks('three attempts', 'loop', thrice)).filter(isFailure);
    for (const [index, task] of tasks.entries()) {
      const next = tasks[index + 1];
      if (next === undefined) continue;
      // The node's clock says when it ended, the manager's when it was replaced: one machine here.
      const gapMs = next.atMs - task.atMs;
      assert.ok(gapMs >= delayMs, `${gapMs} ms from one end to the next`);
    }
  });

  it('holds back also what cannot even be prepared', async () => {
    const swarm = get();
    const delayMs = 800;
    const image = imageOf(swarm, 'nothing:1');
    await swarm.createDetached('loop', '--restart-delay', `${delayMs}ms`, image);
    const tasks = await swarm.untilTasks('four attempts', 'loop', (all) => all.length >= 4);
    assert.ok(tasks.slice(0, -1).every(({ state }) => state === 'rejected'));
    // All but the first are prepared while they are held, and may be rejected at any time of it:
    // how long they are held shows in when their successors are made. The moment between a plan
    // and what comes of it is no part of it, and no more than one delay even here.
    const madeMs = tasks.slice(1).map(({ createdMs }) => createdMs);
    const tookMs = (madeMs.at(-1) ?? 0) - (madeMs[0] ?? 0);
    const delays = madeMs.length - 1;
    assert.ok(tookMs >= (delays - 1) * delayMs, `${delays} more attempts in ${tookMs} ms`);
  });

  it('remembers no more ended tasks than the swarm is told to', async () => {
    const swarm = get();
    await swarm.cli('swarm', 'update', '--task-history-limit', '2');
    try {
      await swarm.createDetached('loop', '--restart-delay', '10ms', imageOf(swarm, 'crasher:1'));
      const seen = new Set<string>();
      // One more is there for the moment between its end and the next pass: what would keep all
      // five that are kept unless told never has so few again.
      await until('six attempts, and two are remembered', async () => {
        const tasks = await swarm.tasks('loop');
        for (const { id } of tasks) seen.add(id);
        return seen.size >= 6 && tasks.filter(ended).length <= 2;
      });
    } finally {
      await swarm.cli('swarm', 'update', '--task-history-limit', '5');
    }
  });

  it('replaces a container that was killed, and only that one', async () => {
    const swarm = get();
    await swarm.create(
      'web',
      ...words('--replicas 4 --restart-delay 100ms --publish mode=host,target=80'),
      imageOf(swarm, 'web:1'),
    );
    const before = await swarm.runs('web', 4);
    const containers = swarm.containers();
    const victim = before[1];
    assert.ok(victim);
    signal(swarm.pidOf(victim), 'SIGKILL');
    await until('its end is seen', async () => {
      const tasks = await swarm.tasks('web');
      return tasks.find(({ id }) => id === victim.id)?.state === 'failed';
    });
    const after = await swarm.runs('web', 4);
    const old = (await swarm.tasks('web')).filter(({ desired }) => desired === 'shutdown');
    assert.deepEqual(
      old.map(({ id, err }) => `${id} ${err}`),
      [`${victim.id} task: non-zero exit (137)`],
    );
    await swarm.containersAre(after);
    const survivors = containers.filter((line) => !line.includes(victim.id));
    const now = swarm.containers();
    assert.deepEqual(
      survivors.filter((line) => !now.includes(line)),
      [],
    );
    for (const task of after) assert.match(await swarm.answer(task), /^web:1 /);
  });

  it('says so when a container went beyond its memory limit', async () => {
    const swarm = get();
    const result = await swarm.manager.cliResult(
      ...words('service create --name hog --limit-memory 16M --env MEGABYTES=64'),
      ...words('--restart-condition none'),
      imageOf(swarm, 'memhog:1'),
    );
    assert.equal(result.code, 1, result.stdout);
    assert.match(result.stderr, /out of memory/i);
    const [task] = await swarm.untilTasks('it has failed', 'hog', ([first]) => !!first?.err);
    assert.equal(task?.state, 'failed');
    assert.match(task?.err ?? '', /non-zero exit \(137\).*OOM/);
    const rows = await swarm.cli('service', 'ps', '--no-trunc', 'hog', '--format', '{{.Error}}');
    assert.match(rows, /OOM/);
    // The node tells what happened to the task's container as of any other.
    const filters = JSON.stringify({ event: ['oom', 'die'], type: ['container'] });
    const since = Math.floor((task?.createdMs ?? 0) / 1000);
    const told = async () => {
      const now = Math.ceil(Date.now() / 1000);
      const query = `since=${since}&until=${now}&filters=${encodeURIComponent(filters)}`;
      const { body } = await swarm.host(task?.host ?? '').apiResult('GET', `/events?${query}`);
      return body
        .split('\n')
        .filter((line) => line.includes(task?.id ?? ''))
        .map((line) => JSON.parse(line) as WireEvent)
        .map(({ Action, Actor }) => `${Action} ${Actor.Attributes['exitCode'] ?? ''}`);
    };
    const accept = (events: readonly string[]) => events.some((line) => line.startsWith('die'));
    const events = await until('its end is told', told, { accept });
    assert.deepEqual(events, ['oom ', 'die 137']);
  });

  it('calls a task running once it is healthy, and not before', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    const health = ['--health-cmd', 'test -e /tmp/ok', '--health-interval', '200ms'];
    await swarm.createDetached('slow', ...health, '--health-retries', '1000', image);
    const isStarting = ([task]: readonly TaskView[]) => task?.state === 'starting';
    const [task] = await swarm.untilTasks('it starts', 'slow', isStarting);
    assert.ok(task);
    await until('its container runs', () => swarm.pidOf(task));
    await sleep(1000);
    assert.equal((await swarm.tasks('slow'))[0]?.state, 'starting');
    await writeFile(`/proc/${swarm.pidOf(task)}/root/tmp/ok`, '');
    const running = await swarm.runs('slow', 1);
    assert.equal(running[0]?.id, task.id);
  });

  it('fails a task that never becomes healthy', async () => {
    const swarm = get();
    const health = ['--health-cmd', 'exit 1', '--health-interval', '200ms'];
    const result = await swarm.manager.cliResult(
      ...words('service create --name ill --health-retries 2 --restart-condition none'),
      ...health,
      imageOf(swarm, 'sleeper:1'),
    );
    assert.equal(result.code, 1, result.stdout);
    assert.match(result.stderr, /unhealthy/);
    const [task] = await swarm.tasks('ill');
    assert.equal(task?.state, 'failed');
    assert.match(task?.err ?? '', /unhealthy/);
    await swarm.containersAre([]);
  });

  it('goes back by itself from an update that never becomes healthy', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    const back = words('--update-failure-action rollback --rollback-monitor 100ms');
    await swarm.create('fit', ...words('--replicas 2'), ...back, image);
    const before = (await swarm.runs('fit', 2)).map(({ id }) => id);
    const health = ['--health-cmd', 'exit 1', ...words('--health-interval 200ms')];
    await swarm.cli('service', 'update', '-d', ...health, '--health-retries', '1', 'fit');
    const state = () =>
      swarm.manager.api<{ UpdateStatus?: { State: string } }>('GET', '/services/fit');
    await until('it has gone back', state, {
      accept: ({ UpdateStatus: status }) => status?.State === 'rollback_completed',
      timeoutMs: 60_000,
    });
    const after = (await swarm.runs('fit', 2)).map(({ id }) => id);
    assert.equal(after.filter((id) => before.includes(id)).length, 1, 'one was not touched');
    const told = await swarm.cli('service', 'inspect', '--pretty', 'fit');
    assert.doesNotMatch(told, /exit 1/);
  });

  it('replaces a task that becomes unhealthy later', async () => {
    const swarm = get();
    const health = ['--health-cmd', 'test ! -e /tmp/ill', '--health-interval', '200ms'];
    await swarm.create(
      'moody',
      ...health,
      ...words('--health-retries 2 --restart-delay 100ms'),
      imageOf(swarm, 'sleeper:1'),
    );
    const [first] = await swarm.runs('moody', 1);
    assert.ok(first);
    await writeFile(`/proc/${swarm.pidOf(first)}/root/tmp/ill`, '');
    const tasks = await swarm.untilTasks('it is replaced', 'moody', (all) =>
      all.some(({ id, state }) => id !== first.id && state === 'running'),
    );
    const old = tasks.find(({ id }) => id === first.id);
    assert.equal(old?.state, 'failed');
    assert.match(old?.err ?? '', /unhealthy/);
    await swarm.containersAre(await swarm.runs('moody', 1));
  });
});
