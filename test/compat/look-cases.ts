/** The verbs of `docker service` that show things, and `docker events`. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { until, type Host } from '../lab/index.ts';
import { ownCli, type Cli } from './clients.ts';
import { all, create, type Test } from './service-cases.ts';
import { same } from './swarm-cases.ts';

export function looking(test: Test): void {
  test(
    'service ls lists, filters and formats, and so does ts-swarm',
    { 'service ls': all('--filter', '--format', '--quiet') },
    async (field, cli) => {
      await create(field, cli, 'web', '--label', 'tier=front', '--replicas', '2');
      await create(field, cli, 'every', '--mode', 'global');
      await field.runs('web', 2);
      await field.runs('every', 3);
      const { manager } = field;
      const row = '{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}}';
      const ls = (...flags: string[]) => cli.lines(manager, 'service', 'ls', ...flags);
      const image = field.image('sleeper:1');
      const rows = [`every global 3/3 ${image}`, `web replicated 2/2 ${image}`];
      assert.deepEqual(await ls('--format', row), rows);
      assert.deepEqual(await ls('--format', row, '--filter', 'label=tier=front'), rows.slice(1));
      assert.deepEqual(await ls('--format', row, '--filter', 'mode=global'), rows.slice(0, 1));
      assert.deepEqual(await ls('--format', row, '--filter', 'name=we'), rows.slice(1));
      assert.equal((await ls('-q')).length, 2);
      for (const flags of [[], ['-q'], ['--format', '{{json .}}'], ['--filter', 'name=web']]) {
        await alike(manager, cli, ['service', 'ls', ...flags]);
      }
      await same(cli, field, ['service', 'ls', '--filter', 'mode=none']);
    },
  );

  test(
    'service ps lists, filters and formats, and so does ts-swarm',
    { 'service ps': all('--filter', '--format', '--no-resolve', '--no-trunc', '--quiet') },
    async (field, cli) => {
      await create(field, cli, 'web', '--replicas', '3');
      const tasks = await field.runs('web', 3);
      const { manager } = field;
      const ps = (...flags: string[]) => cli.lines(manager, 'service', 'ps', ...flags, 'web');
      const row = ['--format', '{{.Name}} {{.Node}} {{.DesiredState}}'];
      const found = (await ps(...row)).toSorted();
      assert.deepEqual(
        found.map((line) => line.replace(/ h[123] /, ' H ')),
        ['web.1 H Running', 'web.2 H Running', 'web.3 H Running'],
      );
      assert.equal((await ps(...row, '--filter', 'node=h1')).length, 1);
      assert.equal((await ps(...row, '--filter', 'name=web.2')).length, 1);
      assert.equal((await ps(...row, '--filter', 'desired-state=shutdown')).length, 0);
      assert.equal((await ps('-q', '--filter', `id=${tasks[0]?.ID}`)).length, 1);
      assert.match((await ps('--no-trunc', '-q'))[0] ?? '', /^[0-9a-z]{25}$/);
      const unresolved = await ps('--no-resolve', '--format', '{{.Name}} {{.Node}}');
      assert.match(unresolved.join('\n'), /^[0-9a-z]{25}\.\d [0-9a-z]{25}/);
      for (const flags of [row, ['-q'], ['--no-trunc', '--no-resolve', ...row]]) {
        await alike(manager, cli, ['service', 'ps', ...flags, 'web']);
      }
    },
  );

  test(
    'node ps lists a node’s tasks',
    { 'node ps': all('--filter', '--format', '--no-resolve', '--no-trunc', '--quiet') },
    async (field, cli) => {
      await create(field, cli, 'web', '--replicas', '3');
      await field.runs('web', 3);
      const { manager } = field;
      const ps = (...flags: string[]) => cli.lines(manager, 'node', 'ps', ...flags, 'h2');
      const row = ['--format', '{{.Name}} {{.Node}}'];
      assert.match((await ps(...row)).join(), /^web\.\d h2$/);
      assert.equal((await ps('-q', '--filter', 'name=web')).length, 1);
      assert.equal((await ps('-q', '--filter', 'name=other')).length, 0);
      assert.match((await ps('--no-trunc', '-q')).join(), /^[0-9a-z]{25}$/);
      assert.match((await ps('--no-resolve', ...row)).join(), /^[0-9a-z]{25}\.\d [0-9a-z]{25}$/);
      await alike(manager, cli, ['node', 'ps', ...row, 'h2']);
    },
  );

  test(
    'service inspect shows JSON and prose, as dockerd and ts-swarm do',
    { 'service inspect': all('--format', '--pretty') },
    async (field, cli) => {
      const { manager, dockerd } = field;
      const flags = [
        '--name',
        'full',
        '--replicas',
        '1',
        '--env',
        'A=1',
        '--label',
        'x=y',
        '--user',
        '1000',
        '--constraint',
        'node.role==manager',
        '--limit-memory',
        '64M',
        '--reserve-cpu',
        '0.1',
        '--mount',
        'type=bind,source=/tmp,target=/t',
        '--update-delay',
        '1s',
        '--workdir',
        '/tmp',
        '--init',
        '--dns',
        '10.1.1.1',
        '--host',
        'a:10.0.0.1',
        '--publish',
        'mode=host,target=80,published=18081',
        '--restart-max-attempts',
        '3',
      ];
      const image = field.image('sleeper:1');
      const make = (host: Host) =>
        cli.run(host, 'service', 'create', '-d', ...flags, image, 'run', 'it');
      await Promise.all([make(manager), make(dockerd)]);
      // Docker tells of ports only once they are allocated.
      for (const host of [manager, dockerd]) await field.runs('full', 1, host);
      await same(cli, field, ['service', 'inspect', '--pretty', 'full']);
      const format = '{{json .Spec}}';
      await same(cli, field, ['service', 'inspect', '--format', format, 'full']);
      await same(cli, field, ['inspect', '--format', '{{.Spec.Name}}', 'full']);
      await alike(manager, cli, ['service', 'inspect', 'full']);
      await alike(manager, cli, ['service', 'inspect', '--pretty', 'full']);
      await alike(manager, cli, ['node', 'inspect', 'h1', 'h2']);
      await alike(manager, cli, ['node', 'ls']);
    },
  );
}

/** ts-swarm prints the same as the docker CLI, but for ages, which go on meanwhile. */
async function alike(host: Host, cli: Cli, command: readonly string[]): Promise<void> {
  const ageless = (text: string) =>
    text.replaceAll(/(?:About )?(?:an?|\d+|Less than a) (?:second|minute)s? ago/g, 'AGE');
  const [ours, theirs] = await Promise.all([ownCli, cli].map((one) => one.run(host, ...command)));
  assert.equal(ageless(ours ?? ''), ageless(theirs ?? ''), `ts-swarm ${command.join(' ')}`);
}

export function logs(test: Test): void {
  test(
    'service logs shows, follows and cuts',
    {
      'service logs': all(
        '--details',
        '--follow',
        '--no-resolve',
        '--no-task-ids',
        '--no-trunc',
        '--raw',
        '--since',
        '--tail',
        '--timestamps',
      ),
    },
    async (field, cli) => {
      const { manager } = field;
      const image = field.image('talker:1');
      await create(field, cli, 'talk', '--replicas', '2', '--', '--env', 'LINES=5', image);
      const tasks = await field.runs('talk', 2);
      const show = (...flags: string[]) => cli.lines(manager, 'service', 'logs', ...flags, 'talk');
      await until('all is said', () => show('--raw'), { accept: ({ length }) => length === 10 });
      assert.match((await show('--raw', '--tail', '1')).join(), /^line 5 of \w+,line 5 of \w+$/);
      for (const line of await show()) assert.match(line, /^talk\.[12]\.\w{12}@h[123] +\| line \d/);
      for (const line of await show('-t', '--tail', '1')) {
        assert.match(line, /^20\S+T\S+Z talk\.[12]\.\w{12}@h[123] +\| line 5/);
      }
      const noIds = await show('--no-task-ids', '--tail', '1');
      for (const line of noIds) assert.match(line, /^talk\.[12]@h[123] +\| line 5/);
      const long = await show('--no-trunc', '--no-resolve', '--tail', '1');
      for (const line of long) assert.match(line, /^\w{25}\.[12]\.\w{25}@\w{25} +\| line 5/);
      const details = (await show('--details', '--tail', '1')).join('\n');
      assert.match(details, /line 5/);
      assert.deepEqual(await show('--since', '2100-01-01T00:00:00Z'), []);
      assert.equal((await show('--raw', '--since', '10m')).length, 10);
      const one = await cli.lines(manager, 'service', 'logs', '--raw', tasks[0]?.ID ?? '');
      assert.equal(one.length, 5);
      const followed = follow(manager, cli, ['service', 'logs', '-f', '--raw', 'talk']);
      await until('what was said is shown', () => followed.text.split('\n').length > 10);
      await cli.run(manager, 'service', 'scale', '-d', 'talk=3');
      await until('a new task is followed too', () => followed.text.split('\n').length > 15, {
        timeoutMs: 60_000,
      });
      await followed.end();
    },
  );

  test(
    'events of a service’s life are told',
    { events: all('--filter', '--format', '--since', '--until') },
    async (field, cli) => {
      const { manager } = field;
      const since = String(Math.floor(Date.now() / 1000));
      const format = ['--format', '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'];
      const filter = ['--filter', 'type=service', '--filter', 'service=told'];
      const listeners = async () =>
        (await manager.api<{ NEventsListener: number }>('GET', '/info')).NEventsListener;
      await until('nobody listens any more', listeners, { accept: (count) => count === 0 });
      const followed = follow(manager, cli, ['events', ...filter, ...format]);
      await until('they are listened to', listeners);
      await create(field, cli, 'told');
      await cli.run(manager, 'service', 'scale', '-d', 'told=2');
      await cli.run(manager, 'service', 'rm', 'told');
      await until('all are told', () => followed.text.includes('service remove told'));
      const live = followed.text.split('\n').filter((line) => line !== '');
      await followed.end();
      assert.equal(live[0], 'service create told');
      assert.equal(live.at(-1), 'service remove told');
      const until_ = String(Math.floor(Date.now() / 1000) + 1);
      const past = await cli.lines(
        manager,
        'events',
        '--since',
        since,
        '--until',
        until_,
        ...filter,
        ...format,
      );
      assert.deepEqual(past, live);
    },
  );
}

/** Runs the command until `end`, which stops it as Ctrl-C does. */
function follow(host: Host, cli: Cli, args: readonly string[]) {
  const child = spawn(cli.path, ['-H', host.url, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const followed = {
    text: '',
    async end() {
      child.kill('SIGINT');
      await ended;
    },
  };
  child.stdout.on('data', (chunk: Buffer) => (followed.text += chunk.toString()));
  return followed;
}
