/** What the steps of a build see of the flags, and where its context may come from. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { gatewayBridgeName } from '../../worker/network/gateway-bridge.ts';
import { dockers, oldDocker, ownCli, type Cli } from './clients.ts';
import { refuses, shows } from './covered.ts';
import type { Field } from './field.ts';
import { refusedValues } from './parity.ts';
import { told } from './probe.ts';

const limiting = 'image build limits what its steps may use';
const networking = 'image build puts its steps on the network that is named';
const sources = 'image build takes its context from a pipe or an archive';
const addresses = 'image build takes its context from an address';

/** Each line is one fact, for cgroups of version 2 and of version 1. */
const look = [
  'echo "files: $(ulimit -S -n) $(ulimit -H -n)"',
  "sed -n 's/^Cpus_allowed_list:[[:space:]]*/cpus: /p' /proc/self/status",
  "sed -n 's/^Mems_allowed_list:[[:space:]]*/mems: /p' /proc/self/status",
  `echo "shm: $(df -k /dev/shm | awk 'END { print $2 }')"`,
  'cd /sys/fs/cgroup',
  'if test -e cpu.max; then',
  '  echo "quota: $(cat cpu.max)"',
  '  echo "memory: $(cat memory.max)"',
  '  echo "swap: $(($(cat memory.max) + $(cat memory.swap.max)))"',
  '  echo "weight: $(cat cpu.weight)"',
  'else',
  '  echo "quota: $(cat cpu/cpu.cfs_quota_us) $(cat cpu/cpu.cfs_period_us)"',
  '  echo "memory: $(cat memory/memory.limit_in_bytes)"',
  '  echo "swap: $(cat memory/memory.memsw.limit_in_bytes)"',
  '  echo "weight: $(cat cpu/cpu.shares)"',
  'fi',
].join('\n');

const lookAround = [
  'ip -o addr | sed "s/^/addr: /"',
  'ip route | sed "s/^default via/gateway:/"',
  'sed "s/^/hosts: /" /etc/hosts',
  // Nobody is to be asked where there is no network.
  'if test -e /etc/resolv.conf; then sed "s/^/names: /" /etc/resolv.conf; fi',
].join('\n');

export function buildFlagCases(get: () => Field): void {
  shows(
    limiting,
    'image build',
    '--memory',
    '--memory-swap',
    '--cpu-shares',
    '--cpu-period',
    '--cpu-quota',
    '--cpuset-cpus',
    '--cpuset-mems',
    '--shm-size',
    '--ulimit',
  );
  shows(networking, 'image build', '--network', '--add-host');
  shows(sources, 'image build', '--file');
  for (const cli of [oldDocker, ownCli]) {
    it(`${limiting}, by ${cli.name}`, () => limits(get(), cli));
  }
  for (const cli of [...dockers, ownCli]) {
    it(`${sources}, by ${cli.name}`, () => builtFromElsewhere(get(), cli));
  }
  it(networking, () => networks(get()));
  it(addresses, () => fetched(get()));

  it('an address that is none, or that cannot be had, is told in a sentence', async () => {
    const { manager } = get();
    for (const [remote, says] of [
      ['ftp://nowhere/x', /could not be recognized as URL/],
      ['http://127.0.0.1:1024/x.tar', /failed to download the build context .*ECONNREFUSED/],
      ['http://127.0.0.1:1024/x.git', /unable to fetch the build context .*127\.0\.0\.1/],
    ] as const) {
      const query = `remote=${encodeURIComponent(remote)}`;
      const { body } = await manager.apiResult('POST', `/build?${query}`);
      assert.match(body, says);
    }
  });

  refuses(refusedValues, '--isolation hyperv', 'there is no isolation to choose here but default');
}

async function limits(field: Field, cli: Cli): Promise<void> {
  const folder = folderOf(field, 'limits', `FROM ${field.image('busybox:1')}\nRUN sh /look\n`);
  writeFileSync(
    join(folder, 'Dockerfile'),
    `FROM ${field.image('busybox:1')}\nCOPY look /\nRUN sh /look\n`,
  );
  writeFileSync(join(folder, 'look'), look);
  const given = (
    '--memory 256m --memory-swap 300m --cpu-shares 512 --cpu-period 50000 --cpu-quota 20000 ' +
    '--cpuset-cpus 0 --cpuset-mems 0 --shm-size 32m --ulimit nofile=512:1024'
  ).split(' ');
  const out = await build(field, cli, [...given, folder]);
  for (const [key, value] of [
    ['files', '512 1024'],
    ['cpus', '0'],
    ['mems', '0'],
    ['shm', '32768'],
    ['quota', '20000 50000'],
    ['memory', String(256 * 1024 ** 2)],
    ['swap', String(300 * 1024 ** 2)],
  ] as const) {
    assert.deepEqual(told(out, key), [value], out);
  }
  // In version 2, weights from 1 to 10,000 are in the place of 2 to 262,144 shares.
  assert.match(out, /^weight: (512|20|59)$/m);
}

async function networks(field: Field): Promise<void> {
  const { manager } = field;
  const run = (...args: string[]) => oldDocker.run(manager, ...args);
  const friend = '--name friend --network for-builds'.split(' ');
  const image = field.image('web:1');
  const folder = folderOf(field, 'networks', `FROM ${image}\nCOPY around /\nRUN sh /around\n`);
  writeFileSync(join(folder, 'around'), lookAround);
  const on = async (...network: string[]) => {
    const hosts = ['--add-host', 'extra.example:10.1.2.3', '--add-host', 'up:host-gateway'];
    const out = await build(field, oldDocker, [...network, ...hosts, folder]);
    const lines = told(out, 'hosts').map((line) => line.split(/\s+/));
    const addressOf = (name: string) => lines.find((line) => line[1] === name)?.[0];
    assert.equal(addressOf('extra.example'), '10.1.2.3', out);
    const addresses = told(out, 'addr').map((line) => line.split(/\s+/));
    const links = new Set(addresses.map(([, link = '']) => link));
    const own = addresses.find(([, link, kind]) => link !== 'lo' && kind === 'inet')?.[3];
    return { links: [...links], own, names: told(out, 'names'), up: addressOf('up'), out };
  };
  await run('network', 'create', 'for-builds');
  try {
    await run('run', '-d', ...friend, image);
    const addressFormat = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    const address = (await run('inspect', '-f', addressFormat, 'friend')).trim();
    const { links, up, out } = await on();
    assert.deepEqual(links.toSorted(), ['eth0', 'lo'], out);
    assert.equal(up, told(out, 'gateway')[0]?.split(' ')[0], out);
    assert.deepEqual((await on('--network', 'none')).links, ['lo']);
    const ofHost = (await on('--network', 'host')).links;
    assert.ok(ofHost.includes(gatewayBridgeName), ofHost.join());
    const named = await on('--network', 'for-builds');
    const withoutLast = (text = '') => text.split('.').slice(0, 3);
    assert.deepEqual(withoutLast(named.own), withoutLast(address), named.out);
    assert.ok(named.names.includes('nameserver 127.0.0.11'), named.out);
    const shared = await on('--network', 'container:friend');
    assert.equal(shared.own?.split('/')[0], address, shared.out);
    assert.deepEqual(shared.names, named.names);
    const unknown = await attempt(field, oldDocker, ['--network', 'nowhere', folder]);
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /network nowhere not found/);
    // A network that builds have been on can be removed: nothing of them is left there.
    await run('rm', '-f', 'friend');
    await run('network', 'rm', 'for-builds');
  } finally {
    await oldDocker.result(manager, ['rm', '-f', 'friend']);
    await oldDocker.result(manager, ['network', 'rm', 'for-builds']);
  }
}

async function builtFromElsewhere(field: Field, cli: Cli): Promise<void> {
  const from = `FROM ${field.image('busybox:1')}\n`;
  const piped = await build(field, cli, ['-'], `${from}RUN echo of a pipe\n`);
  assert.match(piped, /^of a pipe$/m);
  const folder = folderOf(field, 'elsewhere', 'FROM nothing\n');
  writeFileSync(join(folder, 'word'), 'of the folder\n');
  const text = `${from}COPY word /\nRUN cat /word\n`;
  assert.match(await build(field, cli, ['-f', '-', folder], text), /^of the folder$/m);
  const archive = await tarOf({ 'a/Other': text, word: 'packed\n' });
  assert.match(await build(field, cli, ['-f', 'a/Other', '-'], archive), /^packed$/m);
}

/** Docker's CLI fetches such contexts itself: ours leaves it to the daemon, as libraries do. */
async function fetched(field: Field): Promise<void> {
  const from = `FROM ${field.image('busybox:1')}\n`;
  const text = `${from}COPY word /\nRUN cat /word\n`;
  await using web = await serve(field, {
    '/context.tar.gz': gzipSync(await tarOf({ Dockerfile: text, word: 'zipped\n' })),
    '/Dockerfile': Buffer.from(`${from}RUN echo of an address\n`),
    ...repositoryIn(field, { 'sub/Dockerfile': text, 'sub/word': 'committed\n' }),
  });
  const buildFrom = (path: string) => build(field, ownCli, [`${web.origin}${path}`]);
  assert.match(await buildFrom('/context.tar.gz'), /^zipped$/m);
  assert.match(await buildFrom('/Dockerfile'), /^of an address$/m);
  assert.match(await buildFrom('/.git#:sub'), /^committed$/m);
  assert.match(await buildFrom('/.git#v1:sub'), /^committed$/m);
  for (const [path, says] of [
    ['/nothing.tar', /the server answered 404/],
    ['/nothing.git', /unable to fetch the build context/],
    ['/.git#v2', /unable to fetch the build context .*#v2/],
    ['/.git#v1:nowhere', /has no folder "nowhere"/],
  ] as const) {
    const { code, stderr } = await attempt(field, ownCli, [`${web.origin}${path}`]);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
  }
}

/** All files of a Git repository with one commit and the tag v1, as a plain web server has them. */
function repositoryIn(field: Field, files: Readonly<Record<string, string>>) {
  const folder = join(field.lab.folder, 'repository');
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example'];
  const git = (...args: string[]) => execFileSync('git', ['-C', folder, ...who, ...args]);
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '-m', 'all');
  git('tag', 'v1');
  git('update-server-info');
  const inside = join(folder, '.git');
  const all = readdirSync(inside, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    all
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [`/.git${path.slice(inside.length)}`, readFileSync(path)] as const),
  );
}

async function serve(field: Field, files: Readonly<Record<string, Buffer>>) {
  const host = field.lab.registry.address.split(':')[0] ?? '';
  const server = createServer(({ url = '/' }, response) => {
    const content = files[url.split('?')[0] ?? ''];
    response.writeHead(content === undefined ? 404 : 200);
    response.end(content);
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    origin: `http://${host}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text);
  tar.finalize();
  return buffer(tar);
}

function folderOf(field: Field, name: string, dockerfile: string): string {
  const folder = join(field.lab.folder, `build-${name}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  return folder;
}

async function build(field: Field, cli: Cli, args: readonly string[], input?: string | Buffer) {
  const { code, stdout, stderr } = await attempt(field, cli, args, input);
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, /Successfully built/);
  return stdout;
}

function attempt(field: Field, cli: Cli, args: readonly string[], input?: string | Buffer) {
  return cli.result(field.manager, ['image', 'build', '--no-cache', ...args], {
    env: { DOCKER_BUILDKIT: '0' },
    ...(input === undefined ? {} : { input }),
  });
}
