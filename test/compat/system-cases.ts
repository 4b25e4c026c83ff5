/** What concerns a host as a whole, registries that can be searched, and docker's contexts. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { dockers, newDocker, oldDocker, ownCli, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import { guardedPort, type Field } from './field.ts';

const using = 'system df tells what takes space';
const pruning = 'system prune removes what is not used';
const searching = 'search asks a registry that can be searched';

export function systemCases(get: () => Field): void {
  shows(using, 'system df', '', '--format', '--verbose');
  shows(pruning, 'system prune', '', '--all', '--filter', '--force', '--volumes');
  shows(searching, 'search', '', '--filter', '--format', '--limit', '--no-trunc');
  for (const cli of [...dockers, ownCli]) {
    it(`${using}, and ${pruning}, by ${cli.name}`, () => prunes(get(), cli));
  }
  it(searching, () => searches(get()));
  it('ts-swarm takes the contexts that docker has made', () => takesContexts(get()));
}

async function prunes(field: Field, cli: Cli): Promise<void> {
  const { manager } = field;
  const own = `system=${cli.name.replaceAll(/\W/g, '-')}`;
  const run = (...args: string[]) => oldDocker.run(manager, ...args);
  const image = field.image('busybox:1');
  const write = ['sh', '-c', 'head -c 3000000 /dev/zero >/big'];
  await run('run', '--label', own, '--name', 'to-prune', image, ...write);
  await run('network', 'create', '--label', own, 'to-prune');
  const volume = (await run('volume', 'create', '--label', own)).trim();
  const counts = async () => {
    const format = '{{.Type}}:{{.TotalCount}}:{{.Active}}:{{.Size}}:{{.Reclaimable}}';
    const rows = await cli.lines(manager, 'system', 'df', '--format', format);
    return Object.fromEntries(
      rows.map((row) => [row.split(':')[0] ?? '', row.split(':').slice(1)]),
    );
  };
  const before = await counts();
  const kinds = ['Build Cache', 'Containers', 'Images', 'Local Volumes'];
  assert.deepEqual(Object.keys(before).toSorted(), kinds);
  const [total = '', active = ''] = before['Containers'] ?? [];
  assert.ok(Number(total) > Number(active), JSON.stringify(before));
  const [, used = ''] = before['Images'] ?? [];
  assert.ok(Number(used) > 0, JSON.stringify(before));
  const table = await cli.run(manager, 'system', 'df');
  assert.match(table, /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\n/);
  const details = await cli.run(manager, 'system', 'df', '-v');
  assert.match(details, /Containers space usage:\n\n.*\n(.*\n)*.* 3(\.\d+)?MB .*to-prune/);
  assert.ok(details.includes(volume));
  const args = ['-a', '-f', '--volumes', '--filter', `label=${own}`];
  const out = await cli.run(manager, 'system', 'prune', ...args);
  for (const what of [/Deleted Containers:\n[0-9a-f]{64}\n/, /Deleted Networks:\nto-prune\n/]) {
    assert.match(out, what);
  }
  assert.ok(out.includes(`Deleted Volumes:\n${volume}\n`), out);
  assert.match(out, /Total reclaimed space: [1-9]/);
  assert.ok((await run('image', 'ls', '-q', image)) !== '', 'what has no such label stays');
  const nobody = await cli.result(manager, ['system', 'prune'], { input: 'n\n' });
  assert.match(nobody.stdout, /WARNING! This will remove:\n +- all stopped containers/);
  assert.doesNotMatch(nobody.stdout, /Total reclaimed space: [1-9]/);
}

const listed = [
  { name: 'lab/one', description: 'the first', star_count: 7, is_official: false },
  { name: 'lab/two', description: `it ${'goes '.repeat(20)}on`, star_count: 3, is_official: true },
];

async function searches(field: Field): Promise<void> {
  const { manager, lab } = field;
  const host = lab.registry.address.split(':')[0] ?? '';
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://registry');
    response.setHeader('content-type', 'application/json');
    if (pathname !== '/v1/search') {
      response.end('{}');
      return;
    }
    asked.push(`${searchParams.get('q')} ${searchParams.get('n')}`);
    const results = listed.map((one) => ({ is_automated: false, ...one }));
    response.end(JSON.stringify({ num_results: 2, query: 'lab', results }));
  });
  server.listen(guardedPort, host);
  await once(server, 'listening');
  try {
    for (const cli of [...dockers, ownCli]) {
      const search = (...args: string[]) =>
        cli.lines(manager, 'search', ...args, `${host}:${guardedPort}/lab`);
      const names = ['--format', '{{.Name}} {{.StarCount}}'];
      assert.deepEqual(await search(...names), ['lab/one 7', 'lab/two 3']);
      assert.deepEqual(await search(...names, '--filter', 'is-official=true'), ['lab/two 3']);
      assert.deepEqual(await search(...names, '--filter', 'stars=5'), ['lab/one 7']);
      await search('--limit', '3');
      assert.equal(asked.at(-1), 'lab 3');
      const long = /it (goes )+on/;
      assert.doesNotMatch((await search()).join('\n'), long);
      assert.match((await search('--no-trunc')).join('\n'), long);
    }
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
}

async function takesContexts(field: Field): Promise<void> {
  const { manager, lab } = field;
  const folder = join(lab.folder, 'contexts');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const docker of dockers) {
    const name = docker === newDocker ? 'newest' : 'old';
    const env = { DOCKER_CONFIG: folder };
    const create = ['context', 'create', name, '--docker', `host=${manager.url}`];
    const made = await docker.local(create, { env });
    assert.equal(made.code, 0, made.stderr);
    const ask = ['info', '--format', '{{.Name}}'];
    for (const [args, more] of [
      [['--context', name, ...ask], {}],
      [ask, { DOCKER_CONTEXT: name }],
    ] as const) {
      const { code, stdout, stderr } = await ownCli.local(args, { env: { ...env, ...more } });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'h1\n');
    }
  }
}
