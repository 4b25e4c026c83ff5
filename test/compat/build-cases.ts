/** Building, saving and loading: by docker's CLIs and our own, through our daemon. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runResult, until } from '../lab/index.ts';
import { dockers, ownCli, type Cli } from './clients.ts';
import { refuses, shows } from './covered.ts';
import type { Field } from './field.ts';

const building = 'image build, with arguments, stages, labels, limits and a cache';
const ending = 'a build runs below the cgroup that is named, and ends with the client';
const saving = 'image save, and the archive loaded again';

const shown = [
  '',
  '--build-arg',
  '--disable-content-trust',
  '--file',
  '--force-rm',
  '--iidfile',
  '--label',
  '--isolation',
  '--no-cache',
  '--pull',
  '--quiet',
  '--rm',
  '--tag',
  '--target',
  '--compress',
  '--platform',
];

const dockerfile = `ARG BASE=nothing
FROM $BASE AS first
ARG WORD=unset
RUN echo "made of $WORD" > /made
RUN grep -q extra.example /etc/hosts

FROM first
LABEL kind=built
COPY --from=first /made /copied
COPY kept.txt /
SHELL ["/bin/sh", "-eu", "-c"]
CMD cat /copied
`;

export function buildCases(get: () => Field): void {
  shows(building, 'image build', ...shown);
  shows(ending, 'image build', '--cgroup-parent');
  refuses(
    'image build',
    '--security-opt',
    'the daemon on this platform does not support setting security options on build (as Docker’s)',
  );
  refuses(
    'image build',
    '--cache-from',
    'a warning: the cache is what was built on this node before',
  );
  refuses('image build', '--squash', 'docker’s CLI offers it to experimental daemons alone');
  shows(saving, 'image save', '', '--output');
  for (const cli of [...dockers, ownCli]) {
    it(`${building}, by ${cli.name}`, () => builds(get(), cli));
    it(`${saving}, by ${cli.name}`, () => saves(get(), cli));
  }

  it('a build of other arguments has nothing of the one before, and the same has it all', async () => {
    const field = get();
    const [cli] = dockers;
    assert.ok(cli);
    const text = `FROM ${field.image('busybox:1')}\nARG WORD\nENV GREETING=$WORD\nRUN echo made\n`;
    const folder = contextIn(field, cli, text);
    const ids: string[] = [];
    for (const word of ['hello', 'goodbye', 'hello']) {
      const args = ['--build-arg', `WORD=${word}`, '-t', 'greets:1', folder];
      const { code, stdout, stderr } = await attempt(field, cli, args);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /Step 3\/4 : ENV GREETING=\$WORD/);
      const format = '{{.Id}} {{.Config.Env}}';
      const inspect = ['image', 'inspect', '--format', format, 'greets:1'];
      const [id = '', env = ''] = (await cli.run(field.manager, ...inspect)).split(/ (.*)/s);
      assert.match(env, new RegExp(`GREETING=${word}\\b`));
      ids.push(id);
    }
    assert.equal(ids[2], ids[0], 'the cache has it');
    assert.notEqual(ids[1], ids[0]);
    await cli.run(field.manager, 'image', 'rm', 'greets:1');
    const path = '/system/df?type=build-cache';
    const { BuildCache } = await field.manager.api<{ BuildCache: { Size: number }[] }>('GET', path);
    assert.ok(BuildCache.length > 3, 'steps are kept');
    assert.ok(
      BuildCache.some(({ Size }) => Size > 1_000_000),
      'with the base',
    );
  });

  it('a failing build tells the command and its code, and leaves nothing', async () => {
    const field = get();
    for (const cli of dockers) {
      const folder = contextIn(field, cli, `FROM ${field.image('busybox:1')}\nRUN exit 7\n`);
      const { code, stdout, stderr } = await attempt(field, cli, ['-t', 'failed:1', folder]);
      assert.equal(code, 7, stderr);
      assert.match(stdout, /Step 2\/2 : RUN exit 7/);
      assert.match(stderr, /The command '\/bin\/sh -c exit 7' returned a non-zero code: 7/);
      const missing = await cli.result(field.manager, ['image', 'inspect', 'failed:1']);
      assert.equal(missing.code, 1);
    }
  });

  for (const { name, text, args, says } of [
    {
      name: 'no such file',
      text: 'FROM scratch\nCOPY nope /\n',
      args: [],
      says: /COPY failed: file not found in build context/,
    },
    {
      name: 'no such instruction',
      text: 'FROM scratch\nNOPE x\n',
      args: [],
      says: /line 2: unknown instruction: NOPE/,
    },
    {
      name: 'no such target',
      text: 'FROM scratch\n',
      args: ['--target', 'x'],
      says: /failed to reach build target x/,
    },
    {
      name: 'another platform',
      text: 'FROM scratch\n',
      args: ['--platform', 'linux/s390x'],
      says: /own platform alone/,
    },
    {
      name: 'a security option',
      text: 'FROM scratch\n',
      args: ['--security-opt', 'x'],
      says: /does not support setting security options on build/,
    },
    {
      name: 'an isolation',
      text: 'FROM scratch\n',
      args: ['--isolation', 'hyperv'],
      says: /no isolation to choose/,
    },
  ]) {
    it(`a build is refused with a sentence: ${name}`, async () => {
      const [cli] = dockers;
      assert.ok(cli);
      const field = get();
      const folder = contextIn(field, cli, text);
      const { code, stderr } = await attempt(field, cli, [...args, folder]);
      assert.notEqual(code, 0);
      assert.match(stderr, says);
    });
  }

  it(ending, async () => {
    const field = get();
    const [cli] = dockers;
    assert.ok(cli);
    const marked = `sleep ${100_000 + field.lab.id}`;
    const text = `FROM ${field.image('busybox:1')}\nRUN ${marked}\n`;
    const folder = contextIn(field, cli, text);
    const isRunning = async () => (await runResult(['pgrep', '-fx', marked])).code === 0;
    const parent = `/builds-of-lab-${field.lab.id}`;
    const args = ['-H', field.manager.url, 'build', '--cgroup-parent', parent, folder];
    const env = { ...process.env, DOCKER_BUILDKIT: '0' };
    const client = spawn(cli.path, args, { stdio: 'ignore', env });
    const ended = once(client, 'exit');
    await until('the step runs', isRunning);
    const pid = (await run(['pgrep', '-fx', marked])).trim();
    assert.match(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), new RegExp(`${parent}(/|$)`, 'm'));
    client.kill('SIGKILL');
    await ended;
    await until('the step has ended', async () => !(await isRunning()));
  });

  it('a cache that is elsewhere is not used, and that is said', async () => {
    const field = get();
    const [cli] = dockers;
    assert.ok(cli);
    const folder = contextIn(field, cli, `FROM ${field.image('busybox:1')}\n`);
    const { code, stdout } = await attempt(field, cli, ['--cache-from', 'elsewhere:1', folder]);
    assert.equal(code, 0);
    assert.match(stdout, /\[Warning\] cache-from is not used/);
  });
}

async function builds(field: Field, cli: Cli): Promise<void> {
  const { manager } = field;
  const folder = contextIn(field, cli, dockerfile);
  writeFileSync(join(folder, '.dockerignore'), '*.txt\n!kept.txt\n');
  for (const name of ['kept.txt', 'dropped.txt']) writeFileSync(join(folder, name), `${name}\n`);
  const tag = field.image(`built/${cli.name.replaceAll(/\W/g, '-')}:1`);
  const idFile = join(folder, '..', `id-${cli.name.replaceAll(/\W/g, '-')}`);
  const common = [
    '--build-arg',
    `BASE=${field.image('busybox:1')}`,
    '--build-arg',
    'WORD=words',
    '--label',
    'from=test',
    '--add-host',
    'extra.example:10.1.2.3',
    '-t',
    tag,
    '-t',
    'second:1',
    '--platform',
    'linux',
  ];
  const own =
    cli === ownCli
      ? []
      : [
          '--rm=false',
          '--force-rm',
          '--compress',
          '--disable-content-trust',
          '--isolation',
          'default',
        ];
  const args = [...common, ...own, '--iidfile', idFile, '--pull', folder];
  const first = await attempt(field, cli, args);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /Step 1\/\d+ : FROM/);
  assert.match(first.stdout, /\nSuccessfully built [0-9a-f]{12}\nSuccessfully tagged .*built/);
  const id = readFileSync(idFile, 'utf8');
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
  const inspected = [
    '--format',
    '{{.Id}} {{.Config.Labels.kind}} {{.Config.Labels.from}} {{.Config.Cmd}}',
  ];
  const facts = await cli.run(manager, 'image', 'inspect', ...inspected, tag);
  assert.equal(facts, `${id} built test [/bin/sh -eu -c cat /copied]\n`);
  const again = await attempt(field, cli, args);
  assert.match(again.stdout, / ---> Using cache/);
  const runs = await dockers[0]?.run(manager, 'run', '--rm', 'second:1');
  assert.equal(runs, 'made of words\n');
  const quiet = await attempt(field, cli, [
    ...args.slice(0, -1),
    '-q',
    '--target',
    'first',
    '--no-cache',
    folder,
  ]);
  assert.match(quiet.stdout, cli === ownCli ? /./ : /^sha256:[0-9a-f]{64}\n$/, quiet.stderr);
  await cli.run(manager, 'image', 'push', tag);
  assert.deepEqual(await field.lab.registry.tags(tag.slice(tag.indexOf('/') + 1, -2)), ['1']);
  await cli.run(manager, 'image', 'rm', tag, 'second:1');
}

async function saves(field: Field, cli: Cli): Promise<void> {
  const { manager, dockerd } = field;
  const image = field.image('talker:1');
  const other = field.image('crasher:1');
  for (const name of [image, other]) await cli.run(manager, 'image', 'pull', '-q', name);
  const file = join(field.lab.folder, `saved-${cli.name.replaceAll(/\W/g, '-')}.tar`);
  const id = await cli.run(manager, 'image', 'inspect', '-f', '{{.Id}}', image);
  await cli.run(manager, 'image', 'save', '-o', file, image, other);
  await cli.run(manager, 'image', 'rm', image, other);
  const loaded = await cli.run(manager, 'image', 'load', '-i', file);
  assert.ok(loaded.includes(`Loaded image: ${image}\n`), loaded);
  assert.ok(loaded.includes(`Loaded image: ${other}\n`), loaded);
  assert.equal(await cli.run(manager, 'image', 'inspect', '-f', '{{.Id}}', image), id);
  // Docker's own daemon reads it too, and ours reads what that one writes.
  const [docker] = dockers;
  assert.ok(docker);
  const theirs = await docker.run(dockerd, 'image', 'load', '-i', file);
  assert.ok(theirs.includes(`Loaded image: ${image}\n`), theirs);
  await docker.run(dockerd, 'image', 'save', '-o', file, image);
  await cli.run(manager, 'image', 'rm', image, other);
  assert.ok((await cli.run(manager, 'image', 'load', '-i', file)).includes(image));
  await cli.run(manager, 'image', 'rm', image);
  const missing = await cli.result(manager, ['image', 'save', '-o', file, 'nothing:1']);
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /No such image: nothing:1/);
}

function contextIn(field: Field, cli: Cli, text: string): string {
  const folder = join(field.lab.folder, `context-${cli.name.replaceAll(/\W/g, '-')}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'Dockerfile'), text);
  return folder;
}

function attempt(field: Field, cli: Cli, args: readonly string[]) {
  const env = { DOCKER_BUILDKIT: '0' };
  return cli.result(field.manager, ['image', 'build', ...args], { env });
}
