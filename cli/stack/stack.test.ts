/** `stack` against the API and its real control; beside docker's own `stack`, on the same files. */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiServer, type ApiServer } from '../../api/index.ts';
import { FakeBackend } from '../../api/testing.ts';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { runCli, type Ran } from '../testing/run-cli.ts';

const programs = ['/usr/bin/docker', '/usr/local/bin/docker'];

/** What Docker's own reader knows as well. */
const common = `
version: "3.9"
services:
  web:
    image: registry.example/web:1
    command: serve --all "a b"
    entrypoint: ["/run"]
    environment: {A: 1, B: "x y"}
    labels: {tier: front}
    hostname: "web-{{.Task.Slot}}"
    user: "1000"
    working_dir: /srv
    stop_signal: SIGINT
    stop_grace_period: 20s
    init: true
    read_only: true
    tty: true
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    sysctls: {net.core.somaxconn: 5}
    ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}
    dns: [1.1.1.1]
    extra_hosts: ["db:10.1.2.3"]
    ports: ["8080:80", {target: 443, published: 8443, mode: host}]
    networks: {front: {aliases: [www]}, back: {}}
    healthcheck: {test: ["CMD", "ok"], interval: 5s, timeout: 1s, retries: 2, start_period: 3s}
    logging: {driver: json-file, options: {max-size: 1m}}
    volumes: [{type: tmpfs, target: /cache, tmpfs: {size: 1048576}}]
    deploy:
      replicas: 3
      labels: {owner: me}
      endpoint_mode: vip
      placement:
        constraints: [node.role==worker]
        preferences: [{spread: node.labels.zone}]
        max_replicas_per_node: 2
      resources:
        limits: {cpus: "0.5", memory: 64M, pids: 100}
        reservations: {cpus: "0.25", memory: 32M}
      restart_policy: {condition: on-failure, delay: 3s, max_attempts: 2, window: 1m}
      update_config: {parallelism: 2, delay: 1s, order: start-first, failure_action: rollback}
      rollback_config: {parallelism: 0, monitor: 2s}
  agent:
    image: registry.example/agent
    networks: [back]
    deploy: {mode: global}
networks:
  front: {attachable: true, labels: {a: b}}
  back: {internal: true, ipam: {config: [{subnet: 10.77.0.0/24}]}}
`;

describe('cli/stack', function suite() {
  this.timeout(180_000);
  let folder: string;
  let host: string;
  let server: ApiServer;
  let backend: FakeBackend;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cli-stack-'));
    host = `unix://${folder}/docker.sock`;
    backend = new FakeBackend();
    server = createApiServer({ backend, log: silentLogger, clock: realClock });
    await server.listen({ unixSocket: join(folder, 'docker.sock') });
    await backend.becomeManager();
    write('compose.yaml', common);
  });

  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const stack = (verb: string, ...args: string[]) =>
    runCli(host, ['stack', verb, ...args], { env: { HOME: folder } });
  const files = (name = 'compose.yaml') => ['-c', join(folder, name), '--resolve-image', 'never'];
  const deploy = (...args: string[]) => stack('deploy', '--detach', ...files(), ...args, 'shop');

  const docker = (program: string, ...args: readonly string[]) =>
    new Promise<Ran>((resolve) => {
      const env = { PATH: '/usr/bin', HOME: folder, DOCKER_HOST: host };
      const child = execFile(program, args, { env, timeout: 120_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
      });
      child.stdin?.end();
    });

  it('deploys, changes only what differs, and prunes', async () => {
    const unmade = (await stack('plan', ...files(), 'shop')).out;
    assert.match(
      unmade,
      /^\+ network shop_front\n[^]*\+ service shop_agent\n {4}tasks: to be seen once/,
    );
    const first = await deploy();
    assert.equal(first.code, 0, first.err);
    assert.deepEqual(first.out.split('\n').slice(0, -1), [
      'Creating network shop_front',
      'Creating network shop_back',
      'Creating service shop_web',
      'Creating service shop_agent',
    ]);
    const again = await deploy();
    assert.equal(again.out, 'Nothing to change: stack shop is as the files say.\n');
    write('compose.yaml', common.replace('replicas: 3', 'replicas: 4').replace('A: 1', 'A: 2'));
    const planned = await stack('plan', ...files(), 'shop');
    assert.deepEqual(planned.out.split('\n').slice(0, 5), [
      '~ service shop_web',
      '    Mode.Replicated.Replicas: 3 → 4',
      '    TaskTemplate.ContainerSpec.Env: -"A=1" +"A=2"',
      '    tasks: 4 without a place',
      '    ! shop_web.1  waits: no suitable node (scheduling constraints not satisfied on 1 node)',
    ]);
    assert.match(
      planned.out,
      /\n {2}service shop_agent\n0 to create, 1 to change, 0 to remove\.\n$/,
    );
    assert.equal(planned.code, 2, 'something would change');
    assert.deepEqual(await deploy('--plan'), planned);
    assert.match((await deploy()).out, /^Updating service shop_web \(id: \w+\)\n$/);

    write('compose.yaml', common.replace(/ {2}agent:[^]*?(?=\nnetworks:)/, ''));
    assert.doesNotMatch((await deploy()).out, /agent/);
    assert.equal((await deploy('--prune')).out, 'Removing service shop_agent\n');
  });

  it('leaves the number of replicas to autoscaling', async () => {
    const label = 'ts-swarm.autoscale: "min=5,max=9,cpu=60%"';
    write('compose.yaml', common.replace('labels: {owner: me}', `labels: {${label}}`));
    assert.equal((await deploy()).code, 0);
    const listed = await stack('services', '--format', '{{.Name}} {{.Replicas}}', 'shop');
    assert.match(listed.out, /^shop_web 0\/5 \(max 2 per node\) \(autoscaled 5 to 9\)$/m);
    assert.equal((await deploy()).out, 'Nothing to change: stack shop is as the files say.\n');
  });

  it('gives files with names of their own another content, and says the same nothing twice', async () => {
    const text = (content: string) => `
services: {web: {image: "r.example/w:1", configs: [c], secrets: [s]}}
configs: {c: {name: chosen, content: "${content}"}}
secrets: {s: {name: taken, file: ./pw}}
`;
    write('pw', 'geheim');
    write('compose.yaml', text('one'));
    assert.equal((await deploy()).code, 0);
    assert.match((await deploy()).out, /^Nothing to change/);
    write('pw', 'anders');
    write('compose.yaml', text('two'));
    const planned = await stack('plan', ...files(), 'shop');
    assert.match(planned.out, /^~ secret taken\n~ config chosen\n/);
    const changed = await deploy();
    assert.match(changed.out, /^Updating secret taken .*\nUpdating config chosen .*\n$/);
    const view = await backend.store.read();
    const contents = (['secret', 'config'] as const).map((kind) =>
      view.revisions(kind, kind === 'secret' ? 'taken' : 'chosen').map(({ spec }) => spec.data),
    );
    assert.deepEqual(
      contents.map((list) => list.map((data) => Buffer.from(data ?? '', 'base64').toString())),
      [
        ['geheim', 'anders'],
        ['one', 'two'],
      ],
    );
    assert.match((await deploy()).out, /^Nothing to change/);
  });

  it('lists, and removes all of it', async () => {
    await deploy();
    assert.match((await stack('ls')).out, /^NAME +SERVICES\nshop +2\n$/);
    const shown = await stack('services', '--format', '{{.Name}} {{.Mode}}', 'shop');
    assert.equal(shown.out, 'shop_agent global\nshop_web replicated\n');
    assert.deepEqual(await stack('services', 'none'), {
      code: 0,
      out: '',
      err: 'Nothing found in stack: none\n',
    });
    assert.deepEqual(await stack('ps', 'none'), {
      code: 1,
      out: '',
      err: 'nothing found in stack: none\n',
    });
    const removed = await stack('rm', 'shop');
    assert.equal(removed.code, 0, removed.err);
    const view = await backend.store.read();
    assert.equal([...view.services()].length, 0);
    assert.deepEqual(
      [...view.networks()].map(({ spec }) => spec.name),
      ['ingress'],
    );
    assert.equal((await stack('rm', 'shop')).err, 'Nothing found in stack: shop\n');
  });

  it('says what is wrong, and changes nothing', async () => {
    write('compose.yaml', common.replace('user:', 'usr:').replace('replicas: 3', 'replicas: x'));
    const ran = await deploy();
    assert.equal(ran.code, 1);
    assert.match(
      ran.err,
      /compose\.yaml:11:5: services\.web\.usr is no key of a compose file: is "user" meant\?\n/,
    );
    assert.match(ran.err, /compose\.yaml:\d+:\d+: services\.web\.deploy\.replicas: "x"/);
    assert.equal([...(await backend.store.read()).services()].length, 0);
    assert.match(
      (await stack('deploy', ...files(), '-x')).err,
      /invalid stack name|unknown shorthand/,
    );
    assert.match(
      (await stack('deploy', ...files('none.yaml'), 'shop')).err,
      /none\.yaml: no such file/,
    );
  });

  it('refuses networks that would have to change, and external ones that are not there', async () => {
    await deploy();
    write('compose.yaml', common.replace('internal: true', 'internal: false'));
    assert.match(
      (await deploy()).err,
      /^network shop_back is there with other settings \(internal\), and a network cannot/,
    );
    write('compose.yaml', common.replace('{attachable: true, labels: {a: b}}', '{external: true}'));
    assert.match(
      (await deploy()).err,
      /^network "front" is declared as external, but could not be/,
    );
  });

  it('prints the files as one', async () => {
    write('more.yaml', 'services: {web: {user: "2000"}, agent: !reset null}');
    const both = ['-c', join(folder, 'compose.yaml'), '-c', join(folder, 'more.yaml')];
    const { out } = await stack('config', ...both);
    assert.match(out, /user: "2000"/);
    assert.doesNotMatch(out, /agent/);
    write('printed.yaml', out);
    await deploy();
    const planned = await stack('plan', ...files('printed.yaml'), 'shop');
    assert.deepEqual(planned.out.split('\n').slice(0, 2), [
      '~ service shop_web',
      '    TaskTemplate.ContainerSpec.User: "1000" → "2000"',
    ]);
  });

  for (const program of programs) {
    it(`finds nothing to change of what ${program} has deployed, and the other way round`, async function check() {
      if (!existsSync(program)) this.skip();
      const file = join(folder, 'compose.yaml');
      const args = ['stack', 'deploy', '--resolve-image', 'never', '-c', file, 'shop'];
      const theirs = await docker(program, ...args);
      assert.equal(theirs.code, 0, theirs.err);
      const planned = await stack('plan', ...files(), 'shop');
      assert.match(planned.out, /Nothing to change\.\n$/);
      assert.equal(planned.code, 0);
      assert.equal(
        (await docker(program, 'stack', 'ls', '--format', '{{.Name}} {{.Services}}')).out,
        'shop 2\n',
      );
      const listed = await docker(program, 'stack', 'services', '--format', '{{.Name}}', 'shop');
      assert.equal(listed.out, 'shop_agent\nshop_web\n');
      await stack('rm', 'shop');
      await deploy();
      // Each version of docker's CLI sends its own words for no privileges at all.
      const tasks = async () =>
        [...(await backend.store.read()).services()].map(({ spec }) => ({
          ...spec.task,
          container: { ...spec.task.container, privileges: undefined },
        }));
      const before = await tasks();
      assert.equal((await docker(program, ...args)).code, 0);
      assert.deepEqual(await tasks(), before, 'no task is of another spec');
      assert.equal((await docker(program, 'stack', 'rm', 'shop')).code, 0);
    });
  }
});
