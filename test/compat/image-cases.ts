/** `docker image`, `info` and `version`: what a host says of itself and keeps. */
import { strict as assert } from 'node:assert';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import { run } from '../lab/index.ts';
import { dockers, ownCli, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';

type Verbs = Readonly<Record<string, readonly string[]>>;

export function imageCases(get: () => Field): void {
  for (const cli of dockers) {
    describe(`images and facts, by ${cli.name}`, () => {
      const test = (
        title: string,
        verbs: Verbs,
        work: (field: Field, cli: Cli) => Promise<void>,
      ) => {
        if (cli === dockers[0]) {
          for (const [verb, flags] of Object.entries(verbs)) shows(title, verb, '', ...flags);
        }
        it(title, () => work(get(), cli));
      };
      pulling(test);
      archives(test);
      facts(test);
    });
  }
}

type Test = (title: string, verbs: Verbs, work: (field: Field, cli: Cli) => Promise<void>) => void;

function pulling(test: Test): void {
  test(
    'image pull, ls, inspect, history, tag and rm',
    {
      'image pull': ['--quiet', '--disable-content-trust'],
      'image ls': ['--all', '--digests', '--filter', '--format', '--no-trunc', '--quiet'],
      'image inspect': ['--format'],
      'image history': ['--format', '--human', '--no-trunc', '--quiet'],
      'image tag': [],
      'image rm': ['--force', '--no-prune'],
    },
    async (field, cli) => {
      const { manager } = field;
      const image = field.image('crasher:1');
      const docker = (...args: string[]) => cli.run(manager, 'image', ...args);
      await cli.result(manager, ['image', 'rm', '-f', image]);
      assert.match(await docker('pull', image), /Status: Downloaded newer image for/);
      assert.match(await docker('pull', image), /Status: Image is up to date for/);
      const quiet = await docker('pull', '-q', '--disable-content-trust', image);
      assert.equal(quiet, `${image}\n`);
      await docker('tag', image, 'mine:x');
      const row = ['--format', '{{.Repository}}:{{.Tag}}'];
      assert.equal(await docker('ls', ...row, 'mine'), 'mine:x\n');
      assert.equal(await docker('ls', '-a', ...row, '--filter', 'reference=mine:*'), 'mine:x\n');
      assert.match(await docker('ls', '--digests', field.image('crasher')), /sha256:[0-9a-f]{64}/);
      const id = (await docker('ls', '-q', '--no-trunc', 'mine')).trim();
      assert.match(id, /^sha256:[0-9a-f]{64}$/);
      const tags = JSON.parse(await docker('inspect', '-f', '{{json .RepoTags}}', id)) as string[];
      assert.deepEqual(tags.toSorted(), [image, 'mine:x'].toSorted());
      assert.match(await docker('history', '--no-trunc', 'mine:x'), /ts-swarm lab/);
      const ids = await docker('history', '-q', '--human=false', '--format', '{{.ID}}', 'mine:x');
      assert.ok(ids.split('\n').length >= 2);
      assert.equal(await docker('rm', '--no-prune', 'mine:x'), 'Untagged: mine:x\n');
      assert.match(await docker('rm', '-f', image), /^Untagged: [^]*Deleted: sha256:/);
      assert.equal((await cli.result(manager, ['image', 'inspect', image])).code, 1);
    },
  );
}

function archives(test: Test): void {
  test(
    'image load and import',
    {
      'image load': ['--input', '--quiet'],
      'image import': ['--change', '--message', '--platform'],
    },
    async (field, cli) => {
      const { manager, lab } = field;
      const docker = (...args: string[]) => cli.run(manager, 'image', ...args);
      const file = `${lab.folder}/loaded-${cli === dockers[0] ? 'old' : 'new'}.tar`;
      const from = `docker://${field.image('talker:1')}`;
      const to = `docker-archive:${file}:loaded:1`;
      await run(['skopeo', 'copy', '--src-tls-verify=false', from, to]);
      assert.match(await docker('load', '-q', '-i', file), /Loaded image: .*loaded:1\n/);
      await docker('rm', 'loaded:1');
      const tar = pack();
      tar.entry({ name: 'hello' }, 'hello\n');
      tar.finalize();
      const importing = ['image', 'import', '-c', 'CMD ["/hello"]', '-m', 'by hand'];
      const made = await cli.result(
        manager,
        [...importing, '--platform', 'linux/arm64', '-', 'imported:1'],
        { input: await buffer(tar) },
      );
      assert.match(made.stdout, /^sha256:[0-9a-f]{64}\n$/, made.stderr);
      const facts = await docker(
        'inspect',
        '-f',
        '{{.Config.Cmd}} {{.Architecture}}',
        'imported:1',
      );
      assert.equal(facts, '[/hello] arm64\n');
      assert.match(await docker('history', 'imported:1'), /by hand/);
      await docker('rm', 'imported:1');
    },
  );
}

function facts(test: Test): void {
  test(
    'info and version',
    { info: ['--format'], version: ['--format'] },
    async ({ manager }, cli) => {
      const shown = await cli.run(manager, 'info');
      assert.match(shown, /Swarm: active\n[^]*Is Manager: true[^]*Managers: 1\n +Nodes: 3\n/);
      const format = '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.Nodes}}';
      assert.equal(await cli.run(manager, 'info', '--format', format), 'active true 3\n');
      const version = await cli.run(manager, 'version', '--format', '{{.Server.Version}}');
      assert.equal(
        await ownCli.run(manager, 'version', '--format', '{{.Server.Version}}'),
        version,
      );
      assert.match(await cli.run(manager, 'version'), /Server: ts-swarm\n Engine:/);
    },
  );
}
