/** docker commit, and what a build has left behind. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { dockers, newDocker, ownCli, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';

const title = 'commit, with changes, and containers of what it made';
const pruning = 'builder prune, of all, of what is old, and down to a size';

export function commitCases(get: () => Field): void {
  shows(title, 'commit', '', '--author', '--change', '--message', '--pause');
  shows(pruning, 'builder prune', '', '--all', '--force', '--filter', '--keep-storage');
  for (const cli of [...dockers, ownCli]) it(`${title}, by ${cli.name}`, () => commits(get(), cli));
  for (const cli of [...dockers, ownCli]) {
    it(`${pruning}, by ${cli.name}`, () => prunes(get(), cli));
  }
  it('images of many layers are run, looked into, committed and mounted', () => deep(get()));
}

async function prunes(field: Field, cli: Cli): Promise<void> {
  const { manager } = field;
  const input = `FROM ${field.image('busybox:1')}\nRUN echo ${cli.name} >/a\nRUN echo b >/b\n`;
  const build = async () => {
    const { stdout } = await cli.result(manager, ['image', 'build', '-'], {
      input,
      env: { DOCKER_BUILDKIT: '0' },
    });
    return stdout.match(/Using cache/g)?.length ?? 0;
  };
  const prune = (...args: string[]) => cli.run(manager, 'builder', 'prune', '-f', ...args);
  const nothing = /Total.*:\s+0B\n/;
  await build();
  assert.match(await prune('--filter', 'until=1h'), nothing);
  assert.match(await prune('--keep-storage', '100gb', '-a'), nothing);
  if (cli !== newDocker) {
    assert.equal(await build(), 2, 'all of it is there');
    assert.doesNotMatch(await prune('--filter', 'until=0s'), nothing);
    assert.equal(await build(), 0, 'nothing of it is there');
    assert.doesNotMatch(await prune('--keep-storage', '1b', '-a'), nothing);
  }
  await prune('-a');
  const wrong = await cli.result(manager, ['builder', 'prune', '-f', '--filter', 'shared=true']);
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /invalid filter 'shared'/);
}

async function commits(field: Field, cli: Cli): Promise<void> {
  const { manager } = field;
  const [docker] = dockers;
  assert.ok(docker);
  const run = (...args: string[]) => docker.run(manager, ...args);
  const name = `commit-${cli.name.replaceAll(/\W/g, '-')}`;
  const base = field.image('busybox:1');
  await run('image', 'pull', '-q', base);
  const script = 'echo kept >/made; rm /etc/group; echo $A; sleep 1000';
  await run('run', '-d', '--name', name, '-e', 'A=1', '-l', 'from=run', base, 'sh', '-c', script);
  try {
    await until('the container has done its work', async () => (await run('logs', name)) === '1\n');
    const container = cli === ownCli ? ['container', 'commit'] : ['commit'];
    const described = ['-a', 'me <me@example>', '-m', 'a word'];
    const changes = ['-c', 'CMD ["cat", "/made"]', '-c', 'LABEL how=commit'];
    const made = await cli.run(manager, ...container, ...described, ...changes, name, `${name}:1`);
    assert.match(made, /^sha256:[0-9a-f]{64}\n$/);
    assert.equal(await run('run', '--rm', `${name}:1`), 'kept\n');
    const gone = await run('run', '--rm', `${name}:1`, 'sh', '-c', 'ls /etc; echo $A');
    assert.ok(!gone.split('\n').includes('group'), gone);
    assert.ok(gone.endsWith('1\n'), gone);
    const facts = '{{.Id}} {{.Author}} {{.Config.Labels.how}} {{.Config.Labels.from}}';
    const inspected = await run('image', 'inspect', '-f', facts, `${name}:1`);
    assert.equal(inspected, `${made.trim()} me <me@example> commit run\n`);
    assert.match(await run('history', '--no-trunc', `${name}:1`), /a word/);
    // Without a name, and without a pause.
    const nameless = (await cli.run(manager, ...container, '--pause=false', name)).trim();
    assert.equal(await run('inspect', '-f', '{{.State.Status}}', name), 'running\n');
    await run('image', 'tag', `${name}:1`, field.image(`${name}:1`));
    await run('image', 'push', '-q', field.image(`${name}:1`));
    await run('image', 'rm', nameless, `${name}:1`, field.image(`${name}:1`));
  } finally {
    await run('rm', '-f', name);
  }
}

/** More than one page of mount options, which is all that the kernel reads. */
async function deep(field: Field): Promise<void> {
  const { manager } = field;
  const [docker] = dockers;
  assert.ok(docker);
  const run = (...args: string[]) => docker.run(manager, ...args);
  const image = await field.lab.image('deep:1', { layersMore: 59 });
  await run('pull', '-q', image);
  const count = ['sh', '-c', 'ls /layers | wc -l; cat /layers/last'];
  try {
    assert.equal(await run('run', '--name', 'deep', image, 'rm', '/layers/5'), '');
    // One that does not run is looked into by mounting its layers.
    assert.match(await run('cp', 'deep:/layers/last', '-'), /\n?59\n/);
    assert.equal(await run('diff', 'deep'), 'C /layers\nD /layers/5\n');
    await run('commit', 'deep', 'deeper');
    assert.equal(await run('run', '--rm', 'deeper', ...count), '59\n59\n');
    // An anonymous volume gets what the image has at its place.
    assert.equal(await run('run', '--rm', '-v', '/layers', image, ...count), '60\n59\n');
    const HostConfig = { Mounts: [{ Type: 'image', Source: image, Target: '/layers' }] };
    const Cmd = ['sh', '-c', 'ls /layers/layers | wc -l'];
    await manager.api('POST', '/v1.48/containers/create?name=on-deep', {
      Image: image,
      Cmd,
      HostConfig,
    });
    assert.equal(await run('start', '-a', 'on-deep'), '60\n');
  } finally {
    await docker.result(manager, ['rm', '-f', 'deep', 'on-deep']);
    await docker.result(manager, ['rmi', '-f', 'deeper', image]);
  }
}
