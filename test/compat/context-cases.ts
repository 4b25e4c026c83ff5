/** `docker context`: what docker's CLIs keep of where daemons are, with our daemon at the end. */
import { strict as assert } from 'node:assert';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lab/index.ts';
import { dockers, newDocker, oldDocker, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';

const title = 'contexts lead docker to a node';

export function contextCases(get: () => Field): void {
  const verbs = {
    create: ['--description', '--docker', '--from'],
    export: [],
    import: [],
    inspect: ['--format'],
    ls: ['--format', '--quiet'],
    rm: ['--force'],
    update: ['--description', '--docker'],
    use: [],
    ...(newDocker === undefined ? {} : { show: [] }),
  };
  for (const [verb, flags] of Object.entries(verbs)) {
    shows(title, `context ${verb}`, '', ...flags);
  }
  for (const verb of ['create', 'update']) {
    shows(title, `context ${verb}`, '--default-stack-orchestrator');
  }
  for (const cli of dockers) it(`${title}, by ${cli.name}`, () => leads(get(), cli));
}

async function leads({ manager, hosts, lab }: Field, cli: Cli): Promise<void> {
  const folder = join(lab.folder, `contexts-of-${cli === oldDocker ? 'old' : 'new'}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const env = { DOCKER_CONFIG: folder };
  const docker = async (...args: readonly string[]) => {
    // To 20.10 a variable that is empty is still one that overrules contexts.
    const argv = ['env', '-u', 'DOCKER_HOST', '-u', 'DOCKER_CONTEXT', cli.path, ...args];
    return (await run(argv, { env, timeoutMs: 120_000 })).trim();
  };
  const context = (...args: readonly string[]) => docker('context', ...args);
  const node = () => docker('info', '--format', '{{.Name}}');
  const second = hosts[1];
  assert.ok(second);
  const orchestrator = cli === oldDocker ? ['--default-stack-orchestrator', 'swarm'] : [];
  const at = (url: string) => ['--docker', `host=${url}`];
  await context('create', 'one', '--description', 'the first', ...orchestrator, ...at(manager.url));
  await context('create', '--from', 'one', 'copy');
  await context('use', 'copy');
  assert.equal(await node(), 'h1');
  await context('update', 'copy', '--description', 'moved', ...orchestrator, ...at(second.url));
  assert.equal(await node(), 'h2');
  assert.equal(await docker('--context', 'one', 'info', '--format', '{{.Name}}'), 'h1');
  if (cli !== oldDocker) assert.equal(await context('show'), 'copy');
  const format = '{{.Name}}: {{.Endpoints.docker.Host}}';
  assert.equal(await context('inspect', '-f', format, 'copy'), `copy: ${second.url}`);
  const file = join(folder, 'copy.tar');
  await context('export', 'copy', file);
  await context('import', 'again', file);
  const listed = await context('ls', '--format', '{{.Name}} {{.Description}}');
  for (const line of ['again moved', 'copy moved', 'one the first']) {
    assert.ok(listed.split('\n').includes(line), listed);
  }
  await context('rm', '--force', 'copy');
  assert.deepEqual((await context('ls', '-q')).split('\n').toSorted(), ['again', 'default', 'one']);
  assert.equal(await docker('--context', 'again', 'info', '--format', '{{.Name}}'), 'h2');
}
