/** Credentials in a helper, and a registry that wants tokens: by docker's CLIs and our own. */
import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { dockers, ownCli, type Cli } from './clients.ts';
import { tokenPort, type Field } from './field.ts';

const user = Buffer.from('someone:a secret').toString('base64');

export function credentialCases(get: () => Field): void {
  for (const cli of [...dockers, ownCli]) {
    it(`a helper keeps the login of a registry that wants tokens, by ${cli.name}`, async () => {
      await goesThroughHelper(get(), cli);
    });
  }
}

async function goesThroughHelper(field: Field, cli: Cli): Promise<void> {
  const { manager, lab } = field;
  const own = cli.name.replaceAll(/\W/g, '-');
  const folder = join(lab.folder, `helper-${own}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await using registry = await tokenRegistry(lab.registry.address);
  const { address } = registry;
  const kept = join(folder, 'kept');
  writeHelper(join(folder, 'docker-credential-lab'), kept);
  const config = join(folder, 'config.json');
  // One way for all registries, and one for a registry of its own.
  const choice = cli === dockers[0] ? { credsStore: 'lab' } : { credHelpers: { [address]: 'lab' } };
  writeFileSync(config, JSON.stringify(choice));
  const ask = async (...args: string[]) => {
    const env = { DOCKER_CONFIG: folder, PATH: `${folder}:${process.env['PATH'] ?? ''}` };
    return cli.result(manager, args, { env });
  };
  const base = field.image('talker:1');
  await cli.run(manager, 'image', 'pull', '-q', base);
  const names = ['one', 'two'].map((name) => `${address}/${own}/${name}:1`);
  for (const name of names) await cli.run(manager, 'image', 'tag', base, name);
  const [one = '', two = ''] = names;
  assert.notEqual((await ask('image', 'push', one)).code, 0);
  const wrong = await ask('login', '-u', 'someone', '-p', 'wrong', address);
  assert.match(wrong.stderr, /unauthorized/);
  const right = await ask('login', '-u', 'someone', '-p', 'a secret', address);
  assert.match(right.stdout, /Login Succeeded/, right.stderr);
  assert.doesNotMatch(readFileSync(config, 'utf8'), /"auth":/);
  assert.match(readFileSync(kept, 'utf8'), /a secret/);
  for (const name of [one, two]) {
    const { code, stdout, stderr } = await ask('image', 'push', name);
    assert.equal(code, 0, `${stdout}${stderr}`);
  }
  assert.ok(registry.mounts > 0, 'what the registry has in one repository is not sent to another');
  await cli.run(manager, 'image', 'rm', one);
  const { code, stderr } = await ask('image', 'pull', one);
  assert.equal(code, 0, stderr);
  assert.match((await ask('logout', address)).stdout, /Removing login credentials/);
  assert.ok(!existsSync(kept));
  assert.notEqual((await ask('image', 'push', one)).code, 0);
  await cli.run(manager, 'image', 'rm', one, two);
}

/** Keeps one login, in a file. */
function writeHelper(path: string, kept: string): void {
  const script = `#!/bin/sh
case $1 in
  store) cat >${kept} ;;
  get) cat >/dev/null
    test -e ${kept} || { echo "credentials not found in native keychain"; exit 1; }
    cat ${kept} ;;
  erase) cat >/dev/null; rm -f ${kept} ;;
  list) echo '{}' ;;
esac
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
}

/** The lab's registry once more, for those who bring a token of the server that is named. */
async function tokenRegistry(registry: string) {
  const [host = '', port = ''] = registry.split(':');
  /** What each token is good for. */
  const tokens = new Map<string, readonly string[]>();
  let mounts = 0;
  const giveToken: RequestListener = (asked, answer) => {
    const { searchParams } = new URL(asked.url ?? '/', 'http://tokens');
    const isKnown = asked.headers.authorization === `Basic ${user}`;
    answer.setHeader('content-type', 'application/json');
    if (!isKnown) {
      answer.writeHead(401);
      answer.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
      return;
    }
    const token = randomBytes(16).toString('hex');
    tokens.set(token, searchParams.getAll('scope'));
    answer.end(JSON.stringify({ token, expires_in: 60 }));
  };
  const front = await listen(host, tokenPort, (asked, answer) => {
    const { method = 'GET', url: path = '/' } = asked;
    if (path.startsWith('/token')) {
      giveToken(asked, answer);
      return;
    }
    const [, name] = /^\/v2\/(.+)\/(?:manifests|blobs|tags)\//.exec(path) ?? [];
    const right = ['GET', 'HEAD'].includes(method) ? 'pull' : 'push';
    const given = tokens.get((asked.headers.authorization ?? '').replace(/^Bearer /, ''));
    const isGood = given?.some((scope) => {
      const [, repository = '', rights = ''] = scope.split(':');
      return repository === name && rights.split(',').includes(right);
    });
    if (given === undefined || (name !== undefined && isGood !== true)) {
      const scope = name === undefined ? '' : `,scope="repository:${name}:pull,push"`;
      const realm = `Bearer realm="http://${host}:${tokenPort}/token",service="lab"${scope}`;
      answer.writeHead(401, { 'www-authenticate': realm });
      answer.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
      asked.resume();
      return;
    }
    const { authorization: _dropped, ...headers } = asked.headers;
    const passed = request({ host, port, path, method, headers }, (response) => {
      if (path.includes('mount=') && response.statusCode === 201) mounts += 1;
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on('error', (error) => answer.destroy(error));
    asked.pipe(passed);
  });
  return {
    address: `${host}:${tokenPort}`,
    get mounts() {
      return mounts;
    },
    async [Symbol.asyncDispose]() {
      await front.close();
    },
  };
}

async function listen(host: string, port: number, listener: RequestListener) {
  const server = createServer(listener);
  server.listen(port, host);
  await once(server, 'listening');
  return {
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
