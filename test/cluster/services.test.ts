/** Services as their users see them: created, scaled, updated, rolled back and removed. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { imageOf, useSwarm, words, type TaskView } from './swarm.ts';

const web = ['--publish', 'mode=host,target=80'];

describe('services', () => {
  const get = useSwarm({ hosts: 3, images: ['web:1', 'web:2', 'sleeper:1'] });

  it('spreads replicas over the hosts, where each answers', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'web:1');
    const out = await swarm.create('web', '--replicas', '3', ...web, image);
    assert.match(out, /^[0-9a-z]{25}\noverall progress: /);
    assert.match(out, /verify: Service .*converged\n$/);
    const tasks = await swarm.runs('web', 3);
    assert.deepEqual(hostsOf(tasks), { h1: 1, h2: 1, h3: 1 });
    for (const task of tasks) {
      assert.equal(await swarm.answer(task), `web:1 ${task.id.slice(0, 12)} hello`);
    }
    await swarm.containersAre(tasks);
    const shown = await swarm.cli('service', 'ls', '--format', '{{.Name}} {{.Mode}} {{.Replicas}}');
    assert.equal(shown, 'web replicated 3/3\n');
    const rows = await swarm.cli('service', 'ps', 'web', '--format', '{{.Name}} {{.CurrentState}}');
    assert.match(rows, /^(web\.[123] Running .* ago\n){3}$/);
  });

  it('scales up and down without touching what stays', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '3', ...web, imageOf(swarm, 'web:1'));
    const three = swarm.containers();
    await swarm.cli('service', 'scale', 'web=9');
    const nine = await swarm.runs('web', 9);
    assert.deepEqual(hostsOf(nine), { h1: 3, h2: 3, h3: 3 });
    const nineContainers = swarm.containers();
    assert.deepEqual(missing(three, nineContainers), []);
    assert.equal((await swarm.tasks('web')).length, 9, 'nothing was replaced');
    const answers = await Promise.all(nine.map((task) => swarm.answer(task)));
    assert.equal(new Set(answers).size, 9);

    await swarm.cli('service', 'scale', 'web=2');
    const two = await swarm.runs('web', 2);
    await swarm.containersAre(two);
    assert.deepEqual(missing(swarm.containers(), nineContainers), []);
    assert.equal(Object.keys(hostsOf(two)).length, 2, 'two replicas are on two hosts');
    await swarm.untilTasks('stopped tasks are forgotten', 'web', ({ length }) => length === 2);

    await swarm.cli('service', 'scale', 'web=0');
    await swarm.untilTasks('none is left', 'web', ({ length }) => length === 0);
  });

  it('updates image and environment one replica at a time', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '3', ...web, imageOf(swarm, 'web:1'));
    const before = await swarm.runs('web', 3);
    await swarm.cli(
      ...words('service update --update-delay 500ms --env-add GREETING=hi --image'),
      imageOf(swarm, 'web:2'),
      'web',
    );
    const after = await swarm.runs('web', 3);
    const inTurn = after.toSorted((a, b) => a.createdMs - b.createdMs);
    for (const [index, next] of inTurn.entries()) {
      const waitedMs = next.createdMs - (inTurn[index - 1]?.atMs ?? 0);
      assert.ok(waitedMs >= 500, `one is replaced at a time: ${waitedMs} ms after the one before`);
    }
    for (const task of after) {
      assert.deepEqual(task.env, ['GREETING=hi']);
      assert.equal(await swarm.answer(task), `web:2 ${task.id.slice(0, 12)} hi`);
    }
    await swarm.containersAre(after);
    const old = (await swarm.tasks('web')).filter(({ desired }) => desired === 'shutdown');
    assert.deepEqual(old.map(({ id }) => id).toSorted(), before.map(({ id }) => id).toSorted());
    for (const { slot, atMs } of old) {
      const next = after.find((task) => task.slot === slot);
      assert.ok(next && atMs >= next.createdMs, `the old one of slot ${slot} ran until its turn`);
    }
    const states = old.map(({ state }) => state);
    assert.ok(
      states.every((state) => state === 'shutdown' || state === 'complete'),
      states.join(),
    );
    const shown = await swarm.cli(
      'service',
      'inspect',
      'web',
      '--format',
      '{{.UpdateStatus.State}}',
    );
    assert.equal(shown, 'completed\n');

    await swarm.cli('service', 'scale', 'web=4');
    const four = await swarm.runs('web', 4);
    const kept = new Set(four.map(({ id }) => id));
    assert.ok(
      after.every(({ id }) => kept.has(id)),
      'scaling replaces nothing that an update has made',
    );
  });

  it('pauses an update whose tasks fail, tells why, and goes back on request', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '3', ...web, imageOf(swarm, 'web:1'));
    const image = imageOf(swarm, 'nothing:1');
    const update = await swarm.manager.cliResult('service', 'update', '--image', image, 'web');
    assert.equal(update.code, 1, update.stdout);
    assert.match(`${update.stdout}${update.stderr}`, /nothing:1 not found/);
    const left = await swarm.running('web');
    assert.equal(left.length, 2, 'the update stopped at the first failure');
    for (const task of left) assert.match(await swarm.answer(task), /^web:1 /);

    await swarm.cli('service', 'rollback', 'web');
    const back = await swarm.runs('web', 3);
    for (const task of back) assert.match(await swarm.answer(task), /^web:1 /);
    const kept = new Set(back.map(({ id }) => id));
    assert.ok(
      left.every(({ id }) => kept.has(id)),
      'going back leaves alone what had not been updated',
    );
  });

  it('hands a fixed port over from a replica that takes its time to stop', async () => {
    const swarm = get();
    const script = `#!/bin/sh
trap 'sleep $STOP; exit 0' TERM
case $SLOT in 1) STOP=2 ;; *) STOP=0 ;; esac
sleep 1000 &
wait $!
`;
    const recipe = { files: { '/bin/run': script }, cmd: ['/bin/run'] };
    const image = await swarm.lab.registry.push('slow:1', recipe);
    const flags = words('--replicas 2 --update-parallelism 2 --env SLOT={{.Task.Slot}}');
    const port = words('--publish mode=host,published=8080,target=80');
    await swarm.create('fixed', ...flags, ...port, image);
    // With a third host, the second goes where the first's predecessor still runs.
    const out = await swarm.cli('service', 'update', '--env-add', 'A=1', 'fixed');
    assert.match(out, /converged\n$/);
    const tasks = await swarm.runs('fixed', 2);
    assert.ok(tasks.every((task) => task.env.includes('A=1') && task.port === 8080));
    const all = await swarm.tasks('fixed');
    assert.equal(all.length, 4, all.map(({ err }) => err).join());
    await swarm.containersAre(tasks);
  });

  it('starts the new replica first where that is asked for', async () => {
    const swarm = get();
    const order = ['--update-order', 'start-first'];
    await swarm.create('calm', '--replicas', '2', ...order, imageOf(swarm, 'sleeper:1'));
    const update = swarm.cli('service', 'update', '--env-add', 'A=1', 'calm');
    let ended = false;
    const end = update.finally(() => (ended = true));
    let fewest = 2;
    await until(
      'the update ends',
      async () => {
        fewest = Math.min(fewest, (await swarm.running('calm')).length);
        return ended;
      },
      { everyMs: 10, timeoutMs: 60_000 },
    );
    await end;
    assert.equal(fewest, 2);
    const tasks = await swarm.runs('calm', 2);
    assert.ok(tasks.every(({ env }) => env.includes('A=1')));
    await swarm.containersAre(tasks);
  });

  it('runs one task on every host in global mode', async () => {
    const swarm = get();
    await swarm.create('everywhere', '--mode', 'global', imageOf(swarm, 'sleeper:1'));
    const tasks = await swarm.runs('everywhere', 3);
    assert.deepEqual(hostsOf(tasks), { h1: 1, h2: 1, h3: 1 });
  });

  it('removes containers everywhere, and only those of the service', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '3', ...web, imageOf(swarm, 'web:1'));
    await swarm.create('calm', '--replicas', '3', imageOf(swarm, 'sleeper:1'));
    const calm = await swarm.runs('calm', 3);
    const containers = swarm.containers();
    assert.equal(containers.length, 6);
    assert.equal(await swarm.cli('service', 'rm', 'web'), 'web\n');
    await swarm.containersAre(calm);
    assert.deepEqual(missing(swarm.containers(), containers), []);
    const gone = await swarm.manager.cliResult('service', 'ps', 'web');
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /no such service: web/);
    const again = await swarm.manager.cliResult('service', 'rm', 'web');
    assert.equal(again.code, 1);
    assert.match(again.stderr, /service web not found/);
  });
});

function hostsOf(tasks: readonly TaskView[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { host } of tasks.toSorted((a, b) => (a.host < b.host ? -1 : 1))) {
    counts[host] = (counts[host] ?? 0) + 1;
  }
  return counts;
}

/** What of `some` is not among `all`. */
function missing(some: readonly string[], all: readonly string[]): readonly string[] {
  return some.filter((line) => !all.includes(line));
}
