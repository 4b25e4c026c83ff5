/** Stacks as their users see them: deployed, deployed again, edited, pruned and removed. */
import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../lab/index.ts';
import { imageOf, useSwarm, type TaskView } from './swarm.ts';

const serve =
  'mkdir -p /tmp/www && cp /etc/app.conf /run/secrets/pw /tmp/www/ && echo kept >/data/file && ' +
  'cp /data/file /tmp/www/ && (until wget -qO/tmp/www/db http://db-alias; do sleep 0.2; done) & ' +
  'until [ -e /tmp/www/file ]; do sleep 0.1; done; exec httpd -f -h /tmp/www';

const file = `
x-quick: &quick
  update_config: {monitor: 300ms, parallelism: 2}
  rollback_config: {monitor: 300ms, parallelism: 2}
services:
  web:
    image: \${BUSYBOX:?}
    init: true
    stop_grace_period: 1s
    command: ["sh", "-c", "${serve}"]
    configs: [{source: app, target: /etc/app.conf}]
    secrets: [pw]
    volumes: [data:/data]
    ports: [{target: 80, mode: host}]
    depends_on: [db]
    networks: [back]
    deploy: {<<: *quick, replicas: 2}
  db:
    image: \${WEB}
    networks: {back: {aliases: [db-alias]}}
    deploy: *quick
  old:
    image: \${SLEEPER}
    deploy: {<<: *quick, labels: {say: "\${UNSET:-nothing}"}}
networks: {back: {}}
volumes: {data: {}}
secrets: {pw: {file: ./pw}}
configs: {app: {file: ./app.conf}}
`;

const built = `
services:
  web:
    image: \${BUILT}
    build: {context: web, args: {BASE: "\${WEB}", WORD: built}}
    ports: [{target: 80, mode: host}]
    depends_on:
      init: {condition: service_completed_successfully}
      db: {condition: service_healthy}
    deploy: {update_config: {monitor: 300ms}}
  init:
    image: \${BUSYBOX}
    command: sleep 1
    depends_on: [db]
  db:
    image: \${WEB}
    healthcheck: {test: wget -qO/dev/null http://127.0.0.1/, interval: 500ms}
    deploy: {update_config: {monitor: 300ms}}
`;

describe('stacks', () => {
  const get = useSwarm({ hosts: 2, images: ['web:1', 'sleeper:1', 'busybox:1'] });
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stack-'));
    const images = { BUSYBOX: 'busybox:1', WEB: 'web:1', SLEEPER: 'sleeper:1', BUILT: 'built:1' };
    const lines = Object.entries(images).map(([name, image]) => `${name}=${imageOf(get(), image)}`);
    write('.env', `${lines.join('\n')}\n`);
    write('compose.yaml', file);
    write('pw', 'geheim');
    write('app.conf', 'one');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const stack = (verb: string, ...args: string[]) =>
    get().cli('stack', verb, '-c', join(folder, 'compose.yaml'), ...args, 'shop');
  const idsOf = async (service: string, replicas: number) =>
    (await get().runs(`shop_${service}`, replicas)).map(({ id }) => id);
  const says = async (path: string, text: string | RegExp, tasks: readonly TaskView[]) => {
    for (const task of tasks) {
      await until(`${task.id} says ${text} at ${path}`, () => get().answer(task, path), {
        accept: (answer) => (typeof text === 'string' ? answer === text : text.test(answer)),
        timeoutMs: 60_000,
      });
    }
  };

  it('come with all that the files say, and restart nothing that they say again', async () => {
    const swarm = get();
    const out = await stack('deploy');
    assert.match(out, /^Creating secret shop_pw_\w{12}\nCreating config shop_app_\w{12}\n/);
    assert.ok(out.indexOf('Creating service shop_db') < out.indexOf('Creating service shop_web'));
    assert.match(out, /verify: Service shop_web converged\n/);
    const web = await swarm.runs('shop_web', 2);
    await says('/app.conf', 'one', web);
    await says('/pw', 'geheim', web);
    await says('/file', 'kept', web);
    await says('/db', /^web:1 \w+ hello$/, web);
    const before = [await idsOf('web', 2), await idsOf('db', 1), await idsOf('old', 1)];

    assert.match(await stack('plan'), /Nothing to change\.\n$/);
    assert.match(await stack('deploy'), /^Nothing to change/);
    assert.deepEqual([await idsOf('web', 2), await idsOf('db', 1), await idsOf('old', 1)], before);
    assert.equal((await swarm.tasks('shop_web')).length, 2, 'no task was replaced');

    await swarm.cli('stack', 'rm', 'shop');
    assert.match(await swarm.cli('stack', 'ls'), /^NAME +SERVICES\n$/);
    for (const kind of ['secret', 'config']) {
      assert.equal(await swarm.cli(kind, 'ls', '-q'), '', `${kind}s are gone`);
    }
    const networks = await swarm.cli('network', 'ls', '--format', '{{.Name}}');
    assert.doesNotMatch(networks, /shop/);
    await swarm.containersAre([]);
  });

  it('roll what uses an edited config, and go back to what was there', async () => {
    const swarm = get();
    await stack('deploy');
    const [db, old] = [await idsOf('db', 1), await idsOf('old', 1)];
    const first = await idsOf('web', 2);

    write('app.conf', 'two');
    const plan = ['stack', 'plan', '-c', join(folder, 'compose.yaml'), 'shop'];
    const { code, stdout: planned } = await swarm.manager.cliResult(...plan);
    assert.equal(code, 2, 'something would change');
    assert.match(planned, /^\+ config shop_app_\w+\n/);
    assert.match(
      planned,
      /~ service shop_web\n +TaskTemplate.ContainerSpec.Configs.0.ConfigName: /,
    );
    assert.match(planned, /\n1 to create, 1 to change, 0 to remove\.\n$/);
    await stack('deploy');
    const web = await swarm.runs('shop_web', 2);
    await says('/app.conf', 'two', web);
    assert.ok(web.every(({ id }) => !first.includes(id)));
    assert.deepEqual([await idsOf('db', 1), await idsOf('old', 1)], [db, old]);

    await swarm.cli('service', 'rollback', 'shop_web');
    await says('/app.conf', 'one', await swarm.runs('shop_web', 2));

    write('app.conf', 'three');
    write('compose.yaml', file.replace(/ {2}old:[^]*?(?=\nnetworks:)/, ''));
    const out = await stack('deploy', '--prune');
    assert.match(out, /Removing service shop_old\n/);
    await says('/app.conf', 'three', await swarm.runs('shop_web', 2));
    assert.deepEqual(await idsOf('db', 1), db);
    const configs = await swarm.cli('config', 'ls', '--format', '{{.Name}}');
    assert.equal(configs.trim().split('\n').length, 3, 'what a rollback would need is kept');
    await swarm.cli('stack', 'rm', 'shop');
    assert.equal(await swarm.cli('config', 'ls', '-q'), '');
  });

  it('build what is to be built, and wait for what has to have come about', async () => {
    const swarm = get();
    mkdirSync(join(folder, 'web'));
    write('web/Dockerfile', 'ARG BASE\nFROM $BASE\nARG WORD\nENV GREETING=$WORD\n');
    write('compose.yaml', built);
    const out = await stack('deploy');
    assert.match(out, /^Building \S+\/built:1 of .*\/web\n/);
    assert.match(out, /verify: Service shop_init converged|job complete/);
    const [web] = await swarm.runs('shop_web', 1);
    await says('/', /^web:1 \w+ built$/, [web!]);
    const [[init], [db]] = [await swarm.tasks('shop_init'), await swarm.tasks('shop_db')];
    assert.equal(init?.state, 'complete');
    for (const before of [init, db]) {
      assert.ok(before!.atMs <= web!.atMs, `${before!.id} was there only after ${web!.id}`);
    }

    assert.match(await stack('deploy'), /\nNothing to change: .*\n$/);
    assert.deepEqual(
      await idsOf('web', 1),
      [web!.id],
      'an image that is the same restarts nothing',
    );
    assert.deepEqual(
      (await swarm.tasks('shop_init')).map(({ id }) => id),
      [init.id],
    );

    write('web/Dockerfile', 'ARG BASE\nFROM $BASE\nENV GREETING=again\n');
    await stack('deploy');
    const [next] = await swarm.runs('shop_web', 1);
    await says('/', /^web:1 \w+ again$/, [next!]);

    // Nobody waits here but the managers: what needs a migration that fails is not rolled out.
    const rest = 'restart: on-failure:1';
    const edited = (command: string, word: string) =>
      built
        .replace('command: sleep 1', `command: sh -c "${command}"\n    ${rest}`)
        .replace('    deploy: {update', `    environment: {WORD: ${word}}\n    deploy: {update`);
    write('compose.yaml', edited('exit 3', 'two'));
    await stack('deploy', '--detach', '--no-build');
    const state = () => swarm.cli('explain', 'shop_web');
    await until('the rollout waits', state, {
      accept: (said) => /waits for shop_init to complete, which has failed/.test(said),
      timeoutMs: 60_000,
    });
    assert.deepEqual(await idsOf('web', 1), [next!.id], 'what was there runs on');
    write('compose.yaml', edited('exit 0', 'two'));
    await stack('deploy', '--detach', '--no-build');
    await swarm.untilTasks(
      'the new one runs',
      'shop_web',
      (tasks) => tasks.some(({ state: now, env }) => now === 'running' && env.includes('WORD=two')),
      60_000,
    );
    await swarm.cli('stack', 'rm', 'shop');
  });
});
