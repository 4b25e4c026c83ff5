/** Credentials that run out, and the swarm's own logins, at a real registry with passwords. */
import { strict as assert } from 'node:assert';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, runResult, Service, until } from '../lab/index.ts';
import { pathsOf } from '../lab/state.ts';
import { useSwarm, type TaskView, type TestSwarm } from './swarm.ts';

/** The user `someone`, with each of these as its password. */
const hashes = {
  first: '$2b$05$abcdefghijklmnopqrstuu3rQZA.e/048YzLTJ55aycWHfqo0a49W',
  second: '$2b$05$abcdefghijklmnopqrstuuKbPhTOR7Pvo59BRa0eQ090CMHpax.C6',
} as const;
const port = 5002;

describe('a registry whose passwords change', () => {
  const get = useSwarm({
    hosts: 2,
    images: ['sleeper:1'],
    daemonFlags: ['--insecure-registry=10.0.0.0/8'],
  });
  let guarded: Service | undefined;
  const address = () => `${pathsOf(get().lab.id).subnet}254:${port}`;
  const setPassword = (word: keyof typeof hashes) =>
    writeFileSync(join(get().lab.folder, 'htpasswd'), `someone:${hashes[word]}\n`);

  before(async () => {
    const swarm = get();
    setPassword('first');
    guarded = await startGuarded(swarm, address());
  });
  after(async () => {
    await guarded?.kill();
  });

  it('is pulled from with the swarm’s login once those of a service are refused', async () => {
    const swarm = get();
    const image = `${address()}/sleeper:1`;
    const auth = Buffer.from('someone:first').toString('base64');
    const folder = join(swarm.lab.folder, 'credentials');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'config.json'),
      JSON.stringify({ auths: { [address()]: { auth } } }),
    );
    const create = ['service', 'create', '--detach', '--with-registry-auth', '--name', 'tired'];
    const flags = ['--constraint', 'node.hostname==h1', '--restart-delay', '500ms', image];
    const created = await runResult([binary, '-H', swarm.manager.url, ...create, ...flags], {
      env: { DOCKER_CONFIG: folder },
    });
    assert.equal(created.code, 0, created.stderr);
    await swarm.runs('tired', 1);

    setPassword('second');
    await swarm.cli(
      'service',
      'update',
      '--detach',
      '--constraint-rm',
      'node.hostname==h1',
      'tired',
    );
    await swarm.cli(
      'service',
      'update',
      '--detach',
      '--constraint-add',
      'node.hostname==h2',
      'tired',
    );
    const refused = ({ state, host, err }: TaskView) =>
      state === 'rejected' && host === 'h2' && /unauthorized|authentication required/.test(err);
    await swarm.untilTasks('the new node is refused', 'tired', (tasks) => tasks.some(refused));

    const login = ['registry', 'login', '--username', 'someone', '--password-stdin', address()];
    const done = await runResult([binary, '-H', swarm.manager.url, ...login], {
      input: 'second\n',
    });
    assert.equal(done.code, 0, done.stderr);
    const [task] = await swarm.untilTasks('it is pulled', 'tired', (tasks) =>
      tasks.some(({ state, host }) => state === 'running' && host === 'h2'),
    );
    assert.ok(task);
    const format = '{{.Registry}} {{.Username}}';
    assert.equal(await swarm.cli('registry', 'ls', '--format', format), `${address()} someone\n`);
    const shown = await swarm.manager.apiResult('GET', '/registries');
    assert.ok(!shown.body.includes('second'), shown.body);

    // One that was given nothing has the swarm's login alone, also for the digest.
    const made = await swarm.create('fresh', '--constraint', 'node.hostname==h2', image);
    assert.doesNotMatch(made, /could not be accessed/);
    await swarm.cli('registry', 'logout', address());
    assert.equal(await swarm.cli('registry', 'ls', '--format', format), '');
    await until('it runs on', () => swarm.runs('fresh', 1));
  });
});

/** The lab's images, for those who know the password. */
async function startGuarded({ lab }: TestSwarm, address: string): Promise<Service> {
  const { data } = pathsOf(lab.id);
  const config = join(lab.folder, 'guarded.json');
  const settings = {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(data, 'registry') } },
    http: { addr: address },
    auth: { htpasswd: { realm: 'lab', path: join(lab.folder, 'htpasswd') } },
  };
  writeFileSync(config, JSON.stringify(settings));
  const service = await Service.start({
    labId: lab.id,
    name: 'the guarded registry',
    argv: ['docker-registry', 'serve', config],
    logFile: join(data, 'guarded.log'),
    env: { OTEL_TRACES_EXPORTER: 'none' },
    depth: 0,
  });
  await service.ready(async () => (await fetch(`http://${address}/v2/`)).status === 401);
  return service;
}
