/** Asking before and after: plan, explain, and changes that outlive a leader. */
import { strict as assert } from 'node:assert';
import { until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm, words } from './swarm.ts';

describe('plan, explain and restart', () => {
  const get = useSwarm({ hosts: 3, managers: 3, images: ['web:1', 'sleeper:1', 'crasher:1'] });

  async function leader(): Promise<Host> {
    const found = await until(
      'there is a leader',
      async () => {
        const answer = await get().manager.cliResult(...words('node ls --format'), format);
        return answer.stdout.split('\n').find((line) => line.endsWith(' Leader'));
      },
      { timeoutMs: 60_000 },
    );
    return get().host(found?.split(' ')[0] ?? '');
  }
  const format = '{{.Hostname}} {{.ManagerStatus}}';

  it('says where tasks would go, and they go there', async () => {
    const swarm = get();
    const line = 'service create --update-monitor 300ms --replicas 4 --name web';
    const create = [...words(line), imageOf(swarm, 'web:1')];
    const planned = await swarm.host('h2').cliResult('plan', ...create);
    assert.equal(planned.code, 2, planned.stderr);
    assert.match(planned.stdout, /^service web: would be created\n/);
    assert.match(planned.stdout, /\n {2}tasks: 4 new\n/);
    assert.equal(await swarm.cli(...words('service ls -q')), '', 'a plan makes nothing');
    const hosts = [...planned.stdout.matchAll(/\+ web\.\d {2}on (h\d)/g)].map(
      ([, host = '']) => host,
    );
    assert.deepEqual([...new Set(hosts)].toSorted(), ['h1', 'h2', 'h3']);

    await swarm.cli(...create);
    const tasks = await swarm.runs('web', 4);
    const spread = (names: readonly string[]) =>
      [...Map.groupBy(names, (name) => name).values()]
        .map(({ length }) => length)
        .toSorted((a, b) => a - b);
    assert.deepEqual(spread(tasks.map(({ host }) => host)), spread(hosts));
    const ids = tasks.map(({ id }) => id);
    const same = await swarm.host('h3').cliResult(...words('plan service scale web=4'));
    assert.deepEqual([same.code, same.stdout], [0, 'service web: would stay as it is\n']);
    const less = await swarm.manager.cliResult(...words('plan service scale web=3'));
    assert.equal(less.code, 2);
    const [, gone = ''] = /- web\.(\d) {2}on h\d/.exec(less.stdout) ?? [];
    await swarm.cli(...words('service scale -q web=3'));
    const left = await swarm.runs('web', 3);
    assert.ok(!left.some(({ slot }) => String(slot) === gone), `${gone} is the one that goes`);
    assert.ok(left.every(({ id }) => ids.includes(id)));
  });

  it('explains why a task waits, and why another one runs where it does', async () => {
    const swarm = get();
    const far = words('--constraint node.labels.zone==far --replicas 1');
    await swarm.createDetached('far', ...far, imageOf(swarm, 'sleeper:1'));
    await swarm.untilTasks('it waits', 'far', ([task]) => (task?.err ?? '') !== '');
    const waiting = await swarm.host('h2').cli('explain', 'far.1');
    assert.match(waiting, /wait {2}all 3 nodes refuse the task/);
    assert.match(
      waiting,
      /h2 {2}refuses: does not satisfy node\.labels\.zone==far \(there it is ""\)/,
    );
    await swarm.cli(...words('node update --label-add zone=far h2'));
    await swarm.runs('far', 1);
    assert.match(await swarm.cli('explain', 'far.1'), /place {2}on h2: it is the only one of 3/);
    await swarm.cli(...words('node update --label-rm zone h2'));
    const { code, stderr } = await swarm.manager.cliResult('explain', 'nothing');
    assert.deepEqual([code, /no such service or task: nothing/.test(stderr)], [1, true]);
  });

  it('holds a service back until its migration is done, and remembers how it was', async () => {
    const swarm = get();
    const on = words('--depends-on db=healthy --depends-on migrate=completed');
    await swarm.createDetached('web', ...on, imageOf(swarm, 'sleeper:1'));
    await swarm.create('db', imageOf(swarm, 'sleeper:1'));
    await swarm.untilTasks('it waits for the migration', 'web', ([task]) =>
      (task?.err ?? '').includes('waits for the service migrate, which does not exist'),
    );
    const [waiting] = await swarm.tasks('web');
    const job = words('service create --name migrate --mode replicated-job -e CODE=0');
    await swarm.cli(...job, '--restart-condition', 'none', imageOf(swarm, 'crasher:1'));
    const [running] = await swarm.runs('web', 1);
    assert.equal(running?.id, waiting?.id, 'the very task that waited');

    const history = (...args: readonly string[]) => swarm.cli('history', ...args, 'web');
    assert.match(await history(), /web\.1 +managers +waits: waits for the service migrate/);
    assert.match(await history(), /service web +command \(root\) +created: image/);
    const [moment = ''] = /\S+Z(?=.*waits for the service migrate)/.exec(await history()) ?? [];
    assert.match(
      await history('--at', moment),
      /service web: 1 of .*, 0 running\n {2}web\.1 +- +pending/,
    );
    assert.match(
      await history('--at', '0s'),
      /service web: 1 of .*, 1 running\n {2}web\.1 +h\d +running/,
    );
  });

  it('restarts every task, and changes nothing else', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '3', imageOf(swarm, 'sleeper:1'));
    const before = await swarm.runs('web', 3);
    const spec = async () => {
      const shown = await swarm.cli(...words('service inspect web --format'), '{{json .Spec}}');
      return shown.replace(/"ForceUpdate":\d+/, '');
    };
    const specBefore = await spec();
    const out = await swarm.cli('service', 'restart', 'web');
    assert.match(out, /verify: Service web converged\n$/);
    const after = await swarm.runs('web', 3);
    assert.equal(new Set([...before, ...after].map(({ id }) => id)).size, 6);
    assert.equal(await spec(), specBefore);
  });

  it('goes on waiting, and changing, when the leader dies', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '4', imageOf(swarm, 'sleeper:1'));
    const old = await leader();
    const [from] = swarm.hosts.filter((host) => host !== old);
    assert.ok(from);
    const update = from.cliResult(
      ...words('service update --env-add A=1 --update-delay 400ms web'),
    );
    await swarm.untilTasks('the update has begun', 'web', (tasks) =>
      tasks.some(({ env }) => env.includes('A=1')),
    );
    await old.killDaemon();
    const scaled = from.cliResult(...words('service scale web=5'));
    const [results] = await Promise.all([Promise.all([update, scaled]), old.startDaemon()]);
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    const tasks = await swarm.runs('web', 5, 60_000);
    assert.ok(tasks.every(({ env }) => env.includes('A=1')));
  });

  it('applies changes made at the same time to each other', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '1', imageOf(swarm, 'sleeper:1'));
    const names = ['A', 'B', 'C', 'D', 'E', 'F'];
    const results = await Promise.all(
      names.map((name, index) =>
        swarm
          .host(`h${(index % 3) + 1}`)
          .cliResult(...words(`service update --detach --label-add ${name}=1 web`)),
      ),
    );
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    const shown = await swarm.cli(
      ...words('service inspect web --format'),
      '{{json .Spec.Labels}}',
    );
    assert.deepEqual(Object.keys(JSON.parse(shown) as object).toSorted(), names);
  });
});
