/** docker login and logout, search and prune: by docker's CLIs and our own. */
import { strict as assert } from 'node:assert';
import { mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import { dockers, ownCli, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import { guardedPort, type Field } from './field.ts';
import { guard } from './registry-cases.ts';

const login = 'login, a push with what it has stored, and logout';
const pruning = 'image prune, of what has no name, and of all that is not used';

export function loginCases(get: () => Field): void {
  shows(login, 'login', '', '--username', '--password', '--password-stdin');
  shows(login, 'logout', '');
  shows(pruning, 'image prune', '', '--all', '--filter', '--force');
  describe('registries with users', () => {
    let server: Server | undefined;
    before(async () => {
      server = await guard(get().lab.registry.address);
    });
    after(() => {
      server?.closeAllConnections();
      server?.close();
    });
    for (const cli of [...dockers, ownCli]) {
      it(`${login}, by ${cli.name}`, () => logsIn(get(), cli));
      it(`${pruning}, by ${cli.name}`, () => prunes(get(), cli));
    }

    it('a wrong password, and a registry without a search, are told in a sentence', async () => {
      const { manager, lab } = get();
      const guarded = `${lab.registry.address.split(':')[0]}:${guardedPort}`;
      const wrong = { username: 'someone', password: 'wrong', serveraddress: guarded };
      const { status, body } = await manager.apiResult('POST', '/auth', wrong);
      assert.equal(status, 401, body);
      assert.match(body, /unauthorized: authentication required/);
      for (const cli of [...dockers, ownCli]) {
        const { code, stderr } = await cli.result(manager, ['search', `${lab.registry.address}/x`]);
        assert.notEqual(code, 0);
        assert.match(stderr, /cannot be searched: it offers no \/v1\/search/);
      }
    });
  });
}

async function logsIn(field: Field, cli: Cli): Promise<void> {
  const { manager, lab } = field;
  const server = `${lab.registry.address.split(':')[0]}:${guardedPort}`;
  const folder = join(lab.folder, `login-${cli.name.replaceAll(/\W/g, '-')}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const ask = (args: readonly string[], input?: string) =>
    cli.result(manager, args, {
      env: { DOCKER_CONFIG: folder },
      ...(input === undefined ? {} : { input }),
    });
  const name = `${server}/private/${cli.name.replaceAll(/\W/g, '-')}:1`;
  await cli.run(manager, 'image', 'pull', '-q', field.image('talker:1'));
  await cli.run(manager, 'image', 'tag', field.image('talker:1'), name);
  const before = await ask(['image', 'push', name]);
  assert.notEqual(before.code, 0);
  assert.match(before.stderr, /no basic auth credentials/);
  const wrong = await ask(['login', '-u', 'someone', '-p', 'wrong', server]);
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /unauthorized/);
  const right = await ask(['login', '-u', 'someone', '--password-stdin', server], 'a secret\n');
  assert.match(right.stdout, /Login Succeeded/, right.stderr);
  const pushed = await ask(['image', 'push', name]);
  assert.equal(pushed.code, 0, pushed.stderr);
  const pulled = await ask(['image', 'pull', name]);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match((await ask(['logout', server])).stdout, /Removing login credentials/);
  assert.notEqual((await ask(['image', 'push', name])).code, 0);
  await cli.run(manager, 'image', 'rm', name);
}

async function prunes(field: Field, cli: Cli): Promise<void> {
  const { manager } = field;
  const make = async (text: string, label: string, name: readonly string[]) => {
    const tar = pack();
    tar.entry({ name: 'file' }, text);
    tar.finalize();
    const args = ['image', 'import', '-c', `LABEL prune=${label}`, '-', ...name];
    const { stdout, stderr } = await cli.result(manager, args, { input: await buffer(tar) });
    assert.match(stdout, /^sha256:/, stderr);
    return stdout.trim();
  };
  const mine = ['--filter', `label=prune=${cli.name.replaceAll(/\W/g, '-')}`];
  const label = mine[1]?.split('=').at(-1) ?? '';
  const nameless = await make('one', label, []);
  const dangling = await cli.run(manager, 'image', 'ls', '--no-trunc', '-f', 'dangling=true');
  assert.match(dangling, new RegExp(`<none> +<none> +${nameless} `));
  const named = await make('two', label, ['named:1']);
  const first = await cli.run(manager, 'image', 'prune', '-f', ...mine);
  assert.ok(first.includes(`deleted: ${nameless}\n`), first);
  assert.ok(!first.includes(named), first);
  assert.match(first, /Total reclaimed space: [1-9]/);
  const second = await cli.run(manager, 'image', 'prune', '-f', '--all', ...mine);
  assert.match(second, /untagged: named:1\n/);
  assert.ok(second.includes(`deleted: ${named}\n`), second);
  assert.match(await cli.run(manager, 'image', 'prune', '-f', ...mine), /reclaimed space: 0B/);
}
