/** Builds by BuildKit's protocol: Debian's docker CLI drives our daemon and Docker's own alike. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runResult, until, type Host } from '../lab/index.ts';
import { newDocker, oldDocker } from './clients.ts';
import { refuses, shows } from './covered.ts';
import { guardedPort, type Field } from './field.ts';
import { credentials, guard } from './registry-cases.ts';

const building = 'image build by BuildKit, as Docker’s own daemon does it';
const cancelling = 'image build by BuildKit ends with its client’s interrupt';
const loggingIn = 'image build by BuildKit takes logins and secrets from its client';

/** Where DOCKER_BUILDKIT says nothing, the daemon does. */
const kit = { DOCKER_BUILDKIT: '1' };

const look = [
  'cd /all',
  'for f in $(find . | sort); do echo "fact: $(stat -c "%n %F %a %u:%g" $f) $(readlink $f)"; done',
  'echo "fact: links $(stat -c %h run same)"',
  'echo "fact: $(stat -c %Y run) $(cat run)"',
  'echo "fact: $WORD $TARGETPLATFORM $BUILDOS"',
  'echo "fact: $(cat /run/secrets/word) $(stat -c %a /run/secrets/word)"',
  'echo "fact: $(ls /mounted) $(stat -f -c %T /tmp/fast) $(ls /kept | wc -l)"',
  'echo told >&2',
].join('\n');

const mounts =
  '--mount=type=secret,id=word --mount=type=bind,source=sub,target=/mounted ' +
  '--mount=type=tmpfs,target=/tmp/fast --mount=type=cache,target=/kept';

const dockerfileOf = (base: string) => `# syntax=docker/dockerfile:1
ARG TAG=none
FROM ${base}:$TAG AS first
ARG WORD=unset
ARG TARGETPLATFORM
ARG BUILDOS
ENV A=b
COPY . /all
RUN ${mounts} sh /all/look

FROM ${base}:$TAG
WORKDIR /work
COPY --from=first /all/run /run
LABEL kind=built
CMD ["cat", "/run"]
`;

export function buildKitCases(get: () => Field): void {
  shows(building, 'image build', '--progress', '--secret');
  refuses('image build', '--output', 'the result of a build is an image of this node');
  refuses('image build', '--ssh', 'RUN --mount=type=ssh is not supported: use a secret');
  it(building, () => builds(get()));
  it(cancelling, () => cancels(get()));
  it(loggingIn, () => logsIn(get()));

  it('builds by BuildKit fail in the words of Docker’s own daemon', async () => {
    const field = get();
    const from = `FROM ${field.image('busybox:1')}\n`;
    const folder = folderOf(field, 'kit-failing', from);
    const cases: readonly (readonly [string, ...string[]])[] = [
      [`${from}RUN echo before && exit 7\n`],
      [`${from}COPY nope /\n`],
      [`${from}NOPE x\n`],
      [from, '--target', 'nowhere'],
      [`${from}RUN --mount=type=secret,id=q,required=true true\n`],
    ];
    for (const [text, ...args] of cases) {
      const [ours, theirs] = await Promise.all(
        [field.manager, field.dockerd].map(async (host) => {
          const { code, stdout, stderr } = await attempt(host, ['-f', '-', ...args, folder], text);
          const last = stderr.trim().split('\n').at(-1);
          return { code, stdout, last };
        }),
      );
      assert.deepEqual(ours, theirs, text);
      assert.equal(ours?.code, 1);
    }
  });

  it('contexts of BuildKit’s CLI may come by a pipe', async () => {
    const field = get();
    const from = `FROM ${field.image('busybox:1')}\n`;
    const folder = folderOf(field, 'kit-piped', `${from}COPY word /\nCMD ["cat", "/word"]\n`);
    writeFileSync(join(folder, 'word'), 'piped\n');
    const archive = await run(['tar', '-C', folder, '-cf', join(folder, '..', 'kit.tar'), '.']);
    assert.equal(archive, '');
    const bytes = readFileSync(join(folder, '..', 'kit.tar'));
    const id = await quietly(field.manager, ['-'], bytes);
    const runs = await oldDocker.run(field.manager, 'run', '--rm', id);
    assert.equal(runs, 'piped\n');
    const text = 'FROM scratch\nENV A=b\n';
    assert.match(await quietly(field.manager, ['-'], text), /^sha256:[0-9a-f]{64}$/);
  });

  it('each CLI takes the builder that suits it', async () => {
    const field = get();
    const folder = folderOf(field, 'kit-chosen', 'FROM scratch\nENV A=b\n');
    const { stderr: kitSays, code } = await oldDocker.result(field.manager, ['build', folder]);
    assert.equal(code, 0, kitSays);
    assert.match(kitSays, /exporting to image/);
    const outputs = ['build', '--output', `type=local,dest=${folder}/out`, folder];
    const refused = await oldDocker.result(field.manager, outputs, { env: kit });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /leave out --output/);
    const grpc = await field.manager.apiResult('POST', '/grpc');
    assert.equal(grpc.status, 501);
    assert.match(grpc.body, /buildx .* DOCKER_BUILDKIT=0/);
    if (newDocker === undefined) return;
    const asked = await newDocker.result(field.manager, ['build', folder], { env: kit });
    assert.match(asked.stderr, /buildx component is missing/);
    const newest = await newDocker.result(field.manager, ['build', folder]);
    assert.equal(newest.code, 0, newest.stderr);
    assert.match(newest.stdout, /Successfully built/);
  });
}

async function builds(field: Field): Promise<void> {
  const { manager, dockerd } = field;
  const base = field.image('busybox');
  const folder = folderOf(field, 'kit', dockerfileOf(base));
  fill(folder);
  const secret = join(folder, '..', 'kit-secret');
  writeFileSync(secret, 'hidden');
  const idFile = join(folder, '..', 'kit-id');
  const args = (
    `--build-arg TAG=1 --build-arg WORD=given --label from=test -t kit:1 --platform linux/amd64 ` +
    `--progress plain --iidfile ${idFile}`
  ).split(' ');
  const all = [...args, '--secret', `id=word,src=${secret}`, folder];
  // What its daemon resolves is what it has: the registry of this test is no public one.
  await oldDocker.run(dockerd, 'pull', '-q', `${base}:1`);
  const syntax = /^# syntax=.*\n/;
  const [first, theirs] = await Promise.all([
    attempt(manager, all),
    attempt(
      dockerd,
      [...all, '-f', '-'],
      readFileSync(join(folder, 'Dockerfile'), 'utf8').replace(syntax, ''),
    ),
  ]);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(theirs.code, 0, theirs.stderr);
  const id = readFileSync(idFile, 'utf8');
  assert.deepEqual(factsIn(first.stderr), factsIn(theirs.stderr));
  assert.ok(factsIn(first.stderr).length > 10, first.stderr);
  assert.deepEqual(stepsIn(first.stderr), stepsIn(theirs.stderr));
  assert.match(first.stderr, /^#\d+ [\d.]+ told$/m);
  assert.match(first.stderr, /^#\d+ naming to docker\.io\/library\/kit:1 [\d.s ]*done$/m);
  const format = '{{.Id}} {{.Config.Labels.from}} {{.Config.Labels.kind}}';
  const image = await oldDocker.run(manager, 'image', 'inspect', '-f', format, 'kit:1');
  assert.match(image, /^sha256:[0-9a-f]{64} test built\n$/);
  assert.equal(await oldDocker.run(manager, 'run', '--rm', 'kit:1'), 'run\n');
  const again = await attempt(manager, all);
  assert.match(again.stderr, /^#\d+ \[first 3\/3\] RUN .*\n(#\d+ sha256:.*\n)?#\d+ CACHED$/m);
  assert.ok(image.startsWith(readFileSync(idFile, 'utf8')), 'the cache has it');
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
}

async function cancels(field: Field): Promise<void> {
  const marked = `sleep ${200_000 + field.lab.id}`;
  const folder = folderOf(field, 'kit-long', `FROM ${field.image('busybox:1')}\nRUN ${marked}\n`);
  const isRunning = async () => (await runResult(['pgrep', '-fx', marked])).code === 0;
  const env = { ...process.env, ...kit };
  const args = ['-H', field.manager.url, 'build', folder];
  const interrupted = async () => {
    const client = spawn(oldDocker.path, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    let said = '';
    client.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = once(client, 'close');
    await until('the step runs', isRunning);
    client.kill('SIGINT');
    const [code] = (await ended) as [number];
    assert.equal(code, 1);
    assert.match(said, /context canceled/);
    await until('the step has ended', async () => !(await isRunning()));
    return said;
  };
  // The client leaves after three seconds, whether it has been told how the step ended or not.
  await until('the step is told of as cancelled', interrupted, {
    accept: (said) => /CANCELED[^]*context canceled/.test(said),
  });
}

async function logsIn(field: Field): Promise<void> {
  const server = await guard(field.lab.registry.address);
  try {
    const host = field.lab.registry.address.split(':')[0] ?? '';
    const image = `${host}:${guardedPort}/busybox:1`;
    const folder = folderOf(field, 'kit-guarded', `FROM ${image}\nENV A=b\n`);
    const config = { auths: { [`${host}:${guardedPort}`]: { auth: credentials } } };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    const stranger = await attempt(field.manager, ['--pull', folder]);
    assert.equal(stranger.code, 1);
    assert.match(stranger.stderr, /unauthorized|no basic auth|401|denied/i);
    const env = { ...kit, DOCKER_CONFIG: folder };
    const args = ['build', '--pull', '-q', folder];
    const known = await oldDocker.result(field.manager, args, { env });
    assert.equal(known.code, 0, known.stderr);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A context with whatever a folder may have. */
function fill(folder: string): void {
  writeFileSync(
    join(folder, '.dockerignore'),
    '# not these\n*.log\n!kept.log\nout/\n/Dockerfile\n',
  );
  for (const name of ['dropped.log', 'kept.log', 'run']) writeFileSync(join(folder, name), 'run\n');
  writeFileSync(join(folder, 'look'), look);
  for (const name of ['sub', 'out']) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'inside'), `${name}\n`);
  }
  chmodSync(join(folder, 'run'), 0o751);
  chmodSync(join(folder, 'sub'), 0o700);
  linkSync(join(folder, 'run'), join(folder, 'same'));
  symlinkSync('../nowhere', join(folder, 'lost'));
  symlinkSync('/etc/passwd', join(folder, 'sub', 'absolute'));
}

function factsIn(output: string): readonly string[] {
  return [...output.matchAll(/^#\d+ [\d.]+ fact: (.*)$/gm)].map(([, fact = '']) => fact);
}

/** The names of steps. Which of two bases of the same image is shown is a matter of the cache. */
function stepsIn(output: string): readonly string[] {
  const names = [...output.matchAll(/^#\d+ (\[[^\]]*\d+\/\d+\] (?!FROM).*)$/gm)];
  return [...new Set(names.map(([, name = '']) => name))].toSorted();
}

function folderOf(field: Field, name: string, dockerfile: string): string {
  const folder = join(field.lab.folder, `build-${name}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  return folder;
}

function attempt(host: Host, args: readonly string[], input?: string | Buffer) {
  return oldDocker.result(host, ['build', ...args], {
    env: kit,
    ...(input === undefined ? {} : { input }),
  });
}

async function quietly(host: Host, args: readonly string[], input: string | Buffer) {
  const { code, stdout, stderr } = await attempt(host, ['-q', ...args], input);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}
