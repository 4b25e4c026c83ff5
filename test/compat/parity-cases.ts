/** Holds docs/parity.md to what the CLIs' helps name and to what the tests beside this show. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runCli } from '../../cli/testing/run-cli.ts';
import { dockers, newDocker } from './clients.ts';
import { coverage, refuses, shows } from './covered.ts';
import { externalAfterRoot } from '../../manager/control/index.ts';
import { endpointListCases } from './endpoint-cases.ts';
import { flagsOf, pageOf, rowsOf, verbs } from './parity.ts';

const root = resolve(import.meta.dirname, '../..');
const page = join(root, 'docs/parity.md');

/** What tests of other folders show, with our own CLI or with docker's. */
const elsewhere: readonly (readonly [file: string, verb: string, flags: readonly string[]])[] = [
  ['test/cluster/autolock.test.ts', 'swarm init', ['--autolock']],
  ['test/cluster/autolock.test.ts', 'swarm update', ['--autolock']],
  ['test/cluster/autolock.test.ts', 'swarm unlock-key', ['--quiet', '--rotate']],
  ['test/cluster/force-new-cluster.test.ts', 'swarm init', ['--force-new-cluster']],
  [
    'test/cluster/ca-rotation.test.ts',
    'swarm ca',
    ['--rotate', '--ca-cert', '--ca-key', '--cert-expiry', '--detach', '--quiet'],
  ],
  [
    'test/cluster/cluster-volumes.test.ts',
    'volume create',
    [
      '--availability',
      '--group',
      '--limit-bytes',
      '--required-bytes',
      '--scope',
      '--secret',
      '--sharing',
      '--topology-preferred',
      '--topology-required',
      '--type',
    ],
  ],
  ['test/cluster/cluster-volumes.test.ts', 'volume ls', ['--cluster']],
  ['test/cluster/cluster-volumes.test.ts', 'volume update', ['', '--availability']],
];

/** What ts-swarm leaves to docker's CLI: history, contexts, and what no daemon of ours does. */
const onlyDockers: ReadonlySet<string> = new Set([
  'image history',
  'image build',
  'image push',
  'image save',
  'image prune',
  ...verbs.filter((verb) => verb.startsWith('context ')),
]);

export function parityCases(): void {
  for (const [file, verb, flags] of elsewhere) shows(file, verb, ...flags);
  shows('test/cluster/ca-rotation.test.ts', 'swarm update', '--external-ca');
  for (const verb of ['swarm init', 'swarm ca']) refuses(verb, '--external-ca', externalAfterRoot);

  describe('parity', () => {
    it('names only files that are there', () => {
      const gone = elsewhere.filter(([file]) => !existsSync(join(root, file)));
      assert.deepEqual(gone, []);
    });

    endpointListCases();

    it('ts-swarm has every verb and flag that works here', async () => {
      const lacking: string[] = [];
      for (const verb of verbs.filter((one) => !onlyDockers.has(one))) {
        // Within this process: a hundred processes would take as many fifths of a second.
        const { code, out } = await runCli('', [...verb.split(' '), '--help']);
        assert.equal(code, 0, `${verb} --help`);
        const own = new Set(flagsOf(out));
        const works = coverage().filter((one) => one.verb === verb && one.test !== undefined);
        for (const { flag } of works) {
          if (flag !== '' && !own.has(flag)) lacking.push(`${verb} ${flag}`);
        }
      }
      // Content trust is Docker's own; the flag says to do without, as is done anyway.
      const distrusting = ['image pull', 'run', 'create'];
      assert.deepEqual(
        [...new Set(lacking)],
        distrusting.map((verb) => `${verb} --disable-content-trust`),
      );
    });

    it('docs/parity.md has a row for every flag, and no other', async () => {
      const rows = await Promise.all(dockers.map((cli) => rowsOf(cli, coverage())));
      const wanted = pageOf(rows, coverage());
      if (process.env['PARITY'] === 'write') writeFileSync(page, wanted);
      const text = readFileSync(page, 'utf8');
      if (newDocker !== undefined) {
        assert.equal(text, wanted, 'docs/parity.md is not what the tests show: write it anew');
        return;
      }
      // The page was written where a newer CLI is, which has more flags.
      const lines = new Set(text.split('\n'));
      const missing = wanted.split('\n').filter((line) => !lines.has(line));
      assert.deepEqual(missing, [], 'docs/parity.md lacks these lines');
    });
  });
}
