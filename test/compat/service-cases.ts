/** The verbs of `docker service`, beyond the options that option-cases.ts goes through. */
import { strict as assert } from 'node:assert';
import { until, type Host } from '../lab/index.ts';
import { dockers, newDocker, ownCli, type Cli } from './clients.ts';
import { refuses, shows } from './covered.ts';
import type { Field } from './field.ts';
import { jobs } from './job-cases.ts';
import { networkOf, type Json } from './sight.ts';
import { logs, looking } from './look-cases.ts';

type Verbs = Readonly<Record<string, readonly string[]>>;
type Work = (field: Field, cli: Cli) => Promise<void>;
export type Test = (title: string, verbs: Verbs, work: Work) => void;

/** Flags, and the verb itself. */
export const all = (...flags: string[]) => ['', ...flags];
const quick = ['-d', '--update-monitor', '200ms', '--restart-delay', '200ms'];

export function serviceCases(get: () => Field): void {
  // Seen on the wire: the new value is not in what it sends. `ts-swarm service update` does it.
  refuses('service update', '--health-start-interval', "docker's own CLI (28.2) forgets it");
  refuses('service update', '--max-concurrent', "docker's own CLI (20.10 and 28.2) forgets it");
  const noted = new Set<string>();
  for (const cli of dockers) {
    describe(`services, by ${cli.name}`, () => {
      afterEach(() => get().clear());
      const test: Test = (title, verbs, work) => {
        if (!noted.has(title)) {
          for (const [verb, flags] of Object.entries(verbs)) shows(title, verb, ...flags);
        }
        noted.add(title);
        it(title, () => work(get(), cli));
      };
      creating(test);
      looking(test);
      changing(test);
      jobs(test);
      logs(test);
    });
  }
}

export function create(field: Field, cli: Cli, name: string, ...args: string[]): Promise<string> {
  const rest = args.includes('--') ? args.filter((word) => word !== '--') : [...args];
  if (!args.includes('--')) rest.push(field.image('sleeper:1'));
  return cli.run(field.manager, 'service', 'create', ...quick, '--name', name, ...rest);
}
function creating(test: Test): void {
  test(
    'service create waits, or does not, and tells only the id when quiet',
    { 'service create': all('--name', '--replicas', '--detach', '--quiet') },
    async (field, cli) => {
      const rest = ['--update-monitor', '200ms', field.image('sleeper:1')];
      const make = (...flags: string[]) =>
        cli.run(field.manager, 'service', 'create', ...flags, ...rest);
      const shown = await make('--name', 'loud', '--replicas', '2');
      assert.match(shown, /^[0-9a-z]{25}\noverall progress: [^]*verify: Service .*converged/);
      assert.equal((await field.tasks('loud')).length, 2);
      assert.match(await make('--name', 'quiet', '-q'), /^[0-9a-z]{25}\n$/);
      assert.match(await make('--name', 'away', '-d'), /^[0-9a-z]{25}\n$/);
    },
  );

  test(
    'service create --mode global runs a task on every node',
    { 'service create': ['--mode'] },
    async (field, cli) => {
      await create(field, cli, 'everywhere', '--mode', 'global');
      const tasks = await field.runs('everywhere', 3);
      assert.equal(new Set(tasks.map(({ NodeID }) => NodeID)).size, 3);
    },
  );

  test(
    'service create --publish in host mode answers on each node',
    { 'service create': ['--publish'], 'service update': ['--publish-rm'] },
    async (field, cli) => {
      const port = 'mode=host,target=80,published=18080';
      const image = field.image('web:1');
      await create(field, cli, 'web', '--replicas', '3', '--publish', port, '--', image);
      await field.runs('web', 3);
      for (const host of field.hosts) {
        const url = `http://${host.address}:18080/`;
        const answer = await until(`${host.name} answers`, async () => (await fetch(url)).text());
        assert.match(answer, /^web:1 /);
      }
      await cli.run(field.manager, 'service', 'update', '-d', '--publish-rm', port, 'web');
      const gone = '{{.Spec.EndpointSpec.Ports}}';
      const inspected = await cli.run(field.manager, 'service', 'inspect', '-f', gone, 'web');
      assert.equal(inspected, '[]\n');
    },
  );

  test(
    'service create --network none and host',
    { 'service create': ['--network'] },
    async (field, cli) => {
      const namespaces = async (name: string, ...flags: string[]) => {
        await create(field, cli, name, ...flags);
        const [task] = await field.runs(name, 1);
        const { pid, host } = field.process(task?.ID ?? '');
        return { own: networkOf(pid), host: networkOf(host.daemonPid), pid };
      };
      const shared = await namespaces('shared', '--network', 'host');
      assert.equal(shared.own, await hostNetwork(field, 'shared'));
      const alone = await namespaces('alone', '--network', 'none');
      const { readFileSync } = await import('node:fs');
      const devices = readFileSync(`/proc/${alone.pid}/net/dev`, 'utf8').split('\n').slice(2);
      assert.deepEqual(
        devices.filter((line) => line !== '').map((line) => line.trim().split(':')[0]),
        ['lo'],
      );
    },
  );

  test(
    'service create pins the image to its digest, unless told not to',
    {
      'service create': ['--no-resolve-image'],
      'service update': ['--no-resolve-image', '--image'],
    },
    async (field, cli) => {
      const image = field.image('sleeper:1');
      const imageOf = (name: string) => {
        const format = '{{.Spec.TaskTemplate.ContainerSpec.Image}}';
        return cli.run(field.manager, 'service', 'inspect', '--format', format, name);
      };
      await create(field, cli, 'pinned');
      assert.match(await imageOf('pinned'), new RegExp(`^${image}@sha256:[0-9a-f]{64}\n$`));
      await create(field, cli, 'loose', '--no-resolve-image');
      assert.equal(await imageOf('loose'), `${image}\n`);
      const other = field.image('talker:1');
      const update = ['service', 'update', '-d', '--no-resolve-image', '--image', other, 'loose'];
      await cli.run(field.manager, ...update);
      assert.equal(await imageOf('loose'), `${other}\n`);
    },
  );

  test(
    'service create with health checks',
    {
      'service create': [
        '--health-cmd',
        '--health-interval',
        '--health-retries',
        '--health-start-period',
        '--health-timeout',
        '--no-healthcheck',
        '--health-start-interval',
      ],
    },
    async (field, cli) => {
      const often = ['--health-interval', '150ms', '--health-retries', '2'];
      const sick = ['--health-cmd', 'false', ...often, '--health-start-period', '0s'];
      await create(field, cli, 'sick', ...sick, '--restart-condition', 'none');
      await ends(field, 'sick', /unhealthy/);
      const slow = ['--health-cmd', 'sleep 5', '--health-timeout', '100ms', ...often];
      await create(field, cli, 'slow', ...slow, '--restart-condition', 'none');
      await ends(field, 'slow', /unhealthy/);
      const patient = ['--health-cmd', 'test -e /tmp/x || { touch /tmp/x; false; }', ...often];
      const start = cli === newDocker ? ['--health-start-interval', '100ms'] : [];
      const since = String(Math.floor(Date.now() / 1000));
      await create(field, cli, 'patient', ...patient, ...start, '--health-start-period', '30s');
      const [task] = await field.runs('patient', 1);
      const { host } = field.process(task!.ID);
      const filters = ['type=container', 'type=network', 'event=health_status', 'event=connect'];
      const told = await cli.lines(
        host,
        'events',
        `--since=${since}`,
        `--until=${Math.ceil(Date.now() / 1000)}`,
        ...filters.map((filter) => `--filter=${filter}`),
        '--format={{.Action}} {{.Actor.Attributes.name}}',
      );
      assert.ok(told.includes(`health_status: healthy patient.1.${task!.ID}`), told.join('\n'));
      assert.ok(told.includes('connect bridge'), told.join('\n'));
      const format = '{{json .Spec.TaskTemplate.ContainerSpec.Healthcheck.StartInterval}}';
      const kept = await ownCli.run(field.manager, 'service', 'inspect', '-f', format, 'patient');
      if (cli === newDocker) assert.equal(kept, '100000000\n');
      const none = ['--restart-condition', 'none', '--', field.image('sick:1')];
      await create(field, cli, 'off', '--no-healthcheck', ...none);
      await field.runs('off', 1);
      await create(field, cli, 'on', ...none);
      await ends(field, 'on', /unhealthy/);
    },
  );

  test(
    'service create --placement-pref spreads, and reservations hold back',
    { 'service create': ['--placement-pref', '--generic-resource'] },
    async (field, cli) => {
      const label = (host: string, zone: string) =>
        cli.run(field.manager, 'node', 'update', '--label-add', `zone=${zone}`, host);
      await label('h1', 'a');
      await label('h2', 'a');
      await label('h3', 'b');
      const spread = ['--placement-pref', 'spread=node.labels.zone'];
      await create(field, cli, 'spread', '--replicas', '4', ...spread);
      const tasks = await field.runs('spread', 4);
      const nodes = await field.manager.api<NodeName[]>('GET', '/nodes');
      const third = nodes.find(({ Description }) => Description.Hostname === 'h3')?.ID;
      assert.equal(tasks.filter(({ NodeID }) => NodeID === third).length, 2);
      for (const host of ['h1', 'h2', 'h3']) {
        await cli.run(field.manager, 'node', 'update', '--label-rm', 'zone', host);
      }
      await create(field, cli, 'greedy', '--generic-resource', 'gpu=1');
      await until('it waits', async () => {
        const [task] = await field.tasks('greedy');
        return task?.Status.Err?.includes('insufficient resources');
      });
    },
  );

  test(
    'service create --restart-condition and --restart-max-attempts end what fails',
    {},
    async (field, cli) => {
      const flags = ['--restart-condition', 'on-failure', '--restart-max-attempts', '2'];
      const image = field.image('crasher:1');
      await create(field, cli, 'crash', ...flags, '--', image);
      await until('three have failed', () => field.tasks('crash'), {
        accept: (tasks) =>
          tasks.length === 3 && tasks.every(({ Status }) => Status.State === 'failed'),
        timeoutMs: 60_000,
      });
    },
  );
}

interface NodeName {
  readonly ID: string;
  readonly Description: { readonly Hostname: string };
}

async function hostNetwork(field: Field, service: string): Promise<string> {
  const [task] = await field.tasks(service);
  const { host } = field.process(task?.ID ?? '');
  const first = host.processes().find(({ argv }) => argv[0] === 'tini');
  return networkOf(first?.pid ?? 0);
}

async function ends(field: Field, service: string, reason: RegExp): Promise<void> {
  await until(
    `${service} ends because of ${reason}`,
    async () => (await field.tasks(service)).map(({ Status }) => Status),
    {
      accept: ([status]) => status?.State === 'failed' && reason.test(status.Err ?? ''),
      timeoutMs: 60_000,
    },
  );
}

function changing(test: Test): void {
  test(
    'service scale, update, rollback and rm',
    {
      'service scale': all('--detach'),
      'service update': all('--replicas', '--force', '--detach', '--quiet', '--rollback'),
      'service rollback': all('--detach', '--quiet'),
      'service rm': all(),
    },
    async (field, cli) => {
      const { manager } = field;
      const run = (...args: string[]) => cli.run(manager, 'service', ...args);
      await create(field, cli, 'web');
      await create(field, cli, 'other');
      assert.equal(
        await run('scale', '-d', 'web=2', 'other=3'),
        'web scaled to 2\nother scaled to 3\n',
      );
      await field.runs('other', 3);
      assert.match(await run('scale', 'web=3'), /^web scaled to 3\noverall progress[^]*converged/);
      const before = (await field.runs('web', 3)).map(({ ID }) => ID);
      assert.match(
        await run('update', '--force', '-q', '--update-parallelism', '0', 'web'),
        /^web\n/,
      );
      const after = (await field.runs('web', 3)).map(({ ID }) => ID);
      assert.deepEqual(
        after.filter((id) => before.includes(id)),
        [],
      );
      await run('update', '-d', '--replicas', '1', '--env-add', 'X=1', 'web');
      await field.runs('web', 1);
      await run('rollback', '-d', 'web');
      const state = '{{.UpdateStatus.State}}';
      const replicas =
        '{{.Spec.Mode.Replicated.Replicas}} {{.Spec.TaskTemplate.ContainerSpec.Env}}';
      assert.equal(await run('inspect', '-f', replicas, 'web'), '3 []\n');
      await field.runs('web', 3);
      await run('update', '-d', '--env-add', 'Y=1', 'web');
      // It may be over before that is asked.
      await until('the update has begun', () => run('inspect', '-f', state, 'web'), {
        accept: (text) => text === 'updating\n' || text === 'completed\n',
      });
      await run('update', '-d', '--rollback', 'web');
      assert.equal(await run('inspect', '-f', replicas, 'web'), '3 []\n');
      assert.equal(await run('rm', 'web', 'other'), 'web\nother\n');
      assert.equal(await run('ls', '-q'), '');
    },
  );

  test(
    'service update adds and removes what needs no running task',
    {
      'service update': [
        '--generic-resource-add',
        '--generic-resource-rm',
        '--network-add',
        '--network-rm',
        '--no-healthcheck',
      ],
    },
    async (field, cli) => {
      await create(field, cli, 'idle', '--replicas', '0');
      const update = async (...flags: string[]) => {
        await cli.run(field.manager, 'service', 'update', '-d', ...flags, 'idle');
        const shown = await cli.run(field.manager, 'service', 'inspect', 'idle');
        return (JSON.parse(shown) as Json[])[0].Spec.TaskTemplate;
      };
      const added = await update('--generic-resource-add', 'gpu=2');
      const gpu = { DiscreteResourceSpec: { Kind: 'gpu', Value: 2 } };
      assert.deepEqual(added.Resources.Reservations.GenericResources, [gpu]);
      const removed = await update('--generic-resource-rm', 'gpu');
      assert.equal(removed.Resources.Reservations.GenericResources?.length ?? 0, 0);
      assert.equal((await update('--network-add', 'host')).Networks.length, 1);
      assert.equal((await update('--network-rm', 'host')).Networks?.length ?? 0, 0);
      const off = await update('--no-healthcheck');
      assert.deepEqual(off.ContainerSpec.Healthcheck.Test, ['NONE']);
    },
  );

  test('service update that fails pauses, continues or rolls back', {}, async (field, cli) => {
    const { manager } = field;
    const state = '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}';
    // An end is a failure within that time after the start was heard of, on any machine. What goes
    // on all the same waits for that time to pass.
    for (const [action, ends_, monitor] of [
      ['pause', 'paused', '2m'],
      ['continue', 'completed', '1s'],
      ['rollback', 'rollback_completed', '2m'],
    ] as const) {
      await create(field, cli, action, '--update-failure-action', action);
      await field.runs(action, 1);
      const image = ['--image', field.image('crasher:1'), '--update-monitor', monitor];
      await cli.run(manager, 'service', 'update', '-d', ...image, action);
      await until(
        `the update is ${ends_}`,
        () => cli.run(manager, 'service', 'inspect', '-f', state, action),
        { accept: (now) => now.trim() === ends_, timeoutMs: 60_000 },
      );
    }
  });

  test('a task’s stop signal and grace are kept', {}, async (field, cli) => {
    const deaf = ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 1; done'];
    const image = field.image('busybox:1');
    await create(field, cli, 'deaf', '--stop-grace-period', '1s', '--', image, ...deaf);
    const since = Math.floor(Date.now() / 1000);
    const [task] = await field.runs('deaf', 1);
    assert.ok(task);
    const { host } = field.process(task.ID);
    await cli.run(field.manager, 'service', 'scale', '-d', 'deaf=0');
    await until('it is killed', () => host.containers().every(({ id }) => !id.endsWith(task.ID)));
    const told = await until('its end is told', () => endOf(host, task.ID, since), {
      accept: (all) => all.some(({ what }) => what.startsWith('die')),
    });
    const what = told.map((one) => one.what);
    assert.deepEqual(what, ['kill 15', 'kill 9', 'die 137']);
    const [asked, killed] = told;
    const gaveMs = (killed?.atMs ?? 0) - (asked?.atMs ?? 0);
    // Ten seconds are what is waited where nothing is said.
    assert.ok(gaveMs >= 900 && gaveMs < 10_000, `it was given ${gaveMs} ms`);
  });
}

/** How the task's container was ended, and when, as its node tells. */
async function endOf(host: Host, taskId: string, since: number) {
  interface Told {
    readonly Action: string;
    readonly timeNano: number;
    readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> };
  }
  const filters = encodeURIComponent(
    JSON.stringify({ type: ['container'], event: ['kill', 'die'] }),
  );
  const now = Math.floor(Date.now() / 1000) + 1;
  const path = `/events?since=${since}&until=${now}&filters=${filters}`;
  const { body } = await host.apiResult('GET', path);
  return body
    .split('\n')
    .filter((line) => line.includes(taskId))
    .map((line) => JSON.parse(line) as Told)
    .map(({ Action, timeNano, Actor: { Attributes: more } }) => ({
      what: `${Action} ${more['signal'] ?? more['exitCode']}`,
      atMs: Math.round(timeNano / 1e6),
    }));
}
