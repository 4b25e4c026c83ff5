/** The verbs of `docker secret` and `docker config`, and both as services have them. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until, type Host } from '../lab/index.ts';
import { dockers, type Cli } from './clients.ts';
import { refuses, shows } from './covered.ts';
import type { Field } from './field.ts';
import type { Json } from './sight.ts';
import { same } from './swarm-cases.ts';

const kinds = ['secret', 'config'] as const;
const title = 'are what services ask for, and can be taken from them again';
const madeTitle = 'are made of files and of what is piped in, listed and removed';
const noDriver = 'secret drivers are not supported by this version';

/** Told alike by either daemon, where `key` is there, and `used`, which a service uses. */
const alike: readonly string[] = kinds.flatMap((kind) => [
  `${kind} create key {file}`,
  `${kind} create bad/name {file}`,
  `${kind} create -other {file}`,
  `${kind} create ${'x'.repeat(65)} {file}`,
  `${kind} create other {empty}`,
  `${kind} create other {large}`,
  `${kind} inspect nosuch`,
  `${kind} inspect --format {{.Spec.Name}}:{{.Spec.Labels}} key nosuch`,
  `${kind} ls --format {{.Name}}:{{.Labels}}`,
  `${kind} ls --filter name=ke --format {{.Name}}`,
  `${kind} ls --filter label=tier=db --format {{.Name}}`,
  `${kind} rm nosuch`,
  `${kind} rm used`,
  `service create -d --name other --no-resolve-image --${kind} nosuch x`,
  `service create -d --name other --no-resolve-image --${kind} source=key,target=/a --${kind} source=used,target=/a x`,
  `service create -d --name other --no-resolve-image --${kind} source=key,mode=9 x`,
]);

export function fileCases(get: () => Field): void {
  for (const kind of kinds) {
    shows(madeTitle, `${kind} create`, '', '--label', '--template-driver');
    shows(madeTitle, `${kind} ls`, '', '--filter', '--format', '--quiet');
    shows(madeTitle, `${kind} inspect`, '', '--format', '--pretty');
    shows(madeTitle, `${kind} rm`, '');
    shows(title, 'service create', `--${kind}`);
    shows(title, 'service update', `--${kind}-add`, `--${kind}-rm`);
  }
  refuses('secret create', '--driver', noDriver);
  for (const cli of dockers) {
    describe(`secrets and configs, by ${cli.name}`, () => {
      let folder: string;
      const path = (name: string) => join(folder, name);
      before(() => {
        folder = mkdtempSync(join(tmpdir(), 'ts-swarm-files-'));
        writeFileSync(path('file'), 'from a file\n');
        writeFileSync(path('told'), '{{.Service.Name}} {{env "WHO"}} {{secret "pw"}}');
        writeFileSync(path('empty'), '');
        writeFileSync(path('large'), Buffer.alloc(1_024_000));
      });
      afterEach(async () => {
        await get().clear();
        for (const host of [get().manager, get().dockerd]) await clear(host);
      });
      after(() => rmSync(folder, { recursive: true }));

      it(madeTitle, () => making(get(), cli, path));
      it(title, () => serving(get(), cli, path));

      it('that are wrong are told alike', async () => {
        const field = get();
        for (const host of [field.manager, field.dockerd]) {
          for (const kind of kinds) {
            await cli.run(host, kind, 'create', '-l', 'tier=db', 'key', path('file'));
            await cli.run(host, kind, 'create', 'used', path('file'));
          }
          const flags = ['-d', '--replicas', '0', '--no-resolve-image', '--name', 'user'];
          const uses = ['--secret', 'used', '--config', 'used'];
          await cli.run(host, 'service', 'create', ...flags, ...uses, 'image');
        }
        for (const line of alike) {
          const words = line
            .split(' ')
            .map((word) => word.replace(/^\{(\w+)\}$/, (_, n: string) => path(n)));
          await same(cli, field, words);
        }
        const refused = await cli.result(field.manager, [
          'secret',
          'create',
          '-d',
          'vault',
          'other',
        ]);
        assert.notEqual(refused.code, 0);
        assert.ok(refused.stderr.includes(noDriver), refused.stderr);
      });
    });
  }
}

async function making(field: Field, cli: Cli, path: (name: string) => string): Promise<void> {
  for (const kind of kinds) {
    const made = await cli.result(field.manager, [kind, 'create', 'piped', '-'], { input: 'x' });
    assert.match(made.stdout, /^[0-9a-z]{25}\n$/, made.stderr);
    const flags = ['--label', 'tier=db', '--template-driver', 'golang'];
    await cli.run(field.manager, kind, 'create', ...flags, 'filed', path('file'));
    const document = JSON.parse(await cli.run(field.manager, kind, 'inspect', 'filed')) as Json[];
    const { Data, ...spec } = document[0].Spec;
    assert.deepEqual(spec, {
      Name: 'filed',
      Labels: { tier: 'db' },
      Templating: { Name: 'golang' },
    });
    const content = Buffer.from('from a file\n').toString('base64');
    assert.equal(Data, kind === 'config' ? content : undefined);
    assert.match(await cli.run(field.manager, kind, 'inspect', '--pretty', 'filed'), / - tier=db/);
    const list = (...rest: string[]) => cli.lines(field.manager, kind, 'ls', ...rest);
    assert.deepEqual(await list('--format', '{{.Name}}'), ['filed', 'piped']);
    assert.deepEqual(await list('-q', '--filter', 'name=piped'), [made.stdout.trim()]);
    assert.deepEqual(await cli.lines(field.manager, kind, 'rm', 'piped', 'filed'), [
      'piped',
      'filed',
    ]);
    assert.deepEqual(await list('-q'), []);
  }
}

async function serving(field: Field, cli: Cli, path: (name: string) => string): Promise<void> {
  const docker = (...args: string[]) => cli.run(field.manager, ...args);
  await docker('secret', 'create', 'key', path('file'));
  await docker('secret', 'create', 'more', path('file'));
  await docker('config', 'create', 'plain', path('file'));
  await docker('config', 'create', '--template-driver', 'golang', 'told', path('told'));
  const flags = ['-d', '--name', 'user', '--env', 'WHO=me', '--update-monitor', '200ms'];
  const secrets = ['--secret', 'source=key,target=pw,uid=7,gid=8,mode=0400'];
  const configs = ['--config', 'plain', '--config', 'source=told,target=/etc/app/told,mode=0440'];
  const image = field.image('sleeper:1');
  await docker('service', 'create', ...flags, ...secrets, ...configs, image);
  const [first] = await field.runs('user', 1);
  assert.ok(first);
  assert.equal(inside(field, first.ID, 'stat', '-c', '%a %u %g', '/run/secrets/pw'), '400 7 8');
  assert.equal(
    inside(field, first.ID, 'cat', '/run/secrets/pw', '/plain'),
    'from a file\nfrom a file',
  );
  assert.equal(inside(field, first.ID, 'cat', '/etc/app/told'), 'user me from a file');
  assert.equal(inside(field, first.ID, 'stat', '-c', '%a', '/etc/app/told'), '440');

  const changes = ['--secret-rm', 'key', '--secret-add', 'source=more,target=/x/more'];
  changes.push(
    '--config-rm',
    'told',
    '--config-rm',
    'plain',
    '--config-add',
    'source=plain,target=b',
  );
  await docker('service', 'update', '-d', ...changes, 'user');
  const second = await until('another task runs', async () => (await field.runs('user', 1))[0], {
    accept: (task) => task?.ID !== first.ID,
    timeoutMs: 60_000,
  });
  assert.ok(second);
  const found = inside(field, second.ID, 'sh', '-c', 'ls /run/secrets; ls -d /x/more /b /plain');
  assert.equal(found, '/b\n/x/more');
  for (const kind of kinds) await docker(kind, 'rm', kind === 'secret' ? 'key' : 'told');
}

/** What the command prints as root in the task's container, on standard output. */
function inside(field: Field, taskId: string, ...argv: readonly string[]): string {
  const args = ['-t', String(field.process(taskId).pid), '-m', '-p', '--', ...argv];
  try {
    return execFileSync('nsenter', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch (error) {
    // `ls` of what is not there: what it found is asked for.
    return ((error as { stdout?: string }).stdout ?? '').trim();
  }
}

async function clear(host: Host): Promise<void> {
  for (const kind of kinds) {
    for (const { ID } of await host.api<{ ID: string }[]>('GET', `/${kind}s`)) {
      await host.api('DELETE', `/${kind}s/${ID}`);
    }
  }
}
