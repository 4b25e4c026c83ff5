/** The verbs of `docker swarm` and `docker node`, which make the swarm that later cases use. */
import { strict as assert } from 'node:assert';
import { messageOf } from '../../lib/errors.ts';
import { until } from '../lab/index.ts';
import { dockers, newDocker, oldDocker, ownCli, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';

const nodeRow = '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}';

export function swarmCases(get: () => Field): void {
  describe('swarm and node', () => {
    const test = (title: string, verbs: Verbs, work: (field: Field) => Promise<void>) => {
      for (const [verb, flags] of Object.entries(verbs)) shows(title, verb, ...flags);
      it(title, () => work(get()));
    };
    makeSwarm(test);
    changeSwarm(test);
    nodes(test);
    members(test);
  });
}

type Verbs = Readonly<Record<string, readonly string[]>>;
type Test = (title: string, verbs: Verbs, work: (field: Field) => Promise<void>) => void;

/** Flags, and the verb itself. */
const all = (...flags: string[]) => ['', ...flags];

function makeSwarm(test: Test): void {
  test(
    'swarm init takes every setting',
    {
      'swarm init': all(
        '--advertise-addr',
        '--listen-addr',
        '--availability',
        '--cert-expiry',
        '--data-path-addr',
        '--data-path-port',
        '--default-addr-pool',
        '--default-addr-pool-mask-length',
        '--dispatcher-heartbeat',
        '--max-snapshots',
        '--snapshot-interval',
        '--task-history-limit',
      ),
    },
    async ({ manager, dockerd }) => {
      const init = (host: typeof manager) =>
        oldDocker.run(
          host,
          'swarm',
          'init',
          '--advertise-addr',
          host.address,
          '--listen-addr',
          '0.0.0.0:2377',
          '--availability',
          'active',
          '--cert-expiry',
          '48h',
          '--data-path-port',
          '4790',
          '--data-path-addr',
          host.address,
          '--default-addr-pool',
          '10.20.0.0/16',
          '--default-addr-pool-mask-length',
          '25',
          '--dispatcher-heartbeat',
          '9s',
          '--max-snapshots',
          '1',
          '--snapshot-interval',
          '5000',
          '--task-history-limit',
          '7',
        );
      const [ours, theirs] = await Promise.all([init(manager), init(dockerd)]);
      const anonymous = (text: string) =>
        text
          .replaceAll(/SWMTKN-\S+/g, 'TOKEN')
          .replaceAll(/\b[0-9a-z]{25}\b/g, 'ID')
          .replaceAll(/10\.99\.\d+\.\d+/g, 'ADDRESS');
      assert.equal(anonymous(ours), anonymous(theirs));
      const facts = async (host: typeof manager) => {
        const swarm = await host.api<Record<string, unknown>>('GET', '/swarm');
        const kept = ['Spec', 'DataPathPort', 'DefaultAddrPool', 'SubnetSize'];
        return Object.fromEntries(kept.map((key) => [key, swarm[key]]));
      };
      assert.deepEqual(await facts(manager), await facts(dockerd));
    },
  );

  test(
    'swarm join-token shows and rotates tokens',
    { 'swarm join-token': all('--quiet', '--rotate') },
    async ({ manager, dockerd }) => {
      for (const role of ['worker', 'manager']) {
        const shown = await oldDocker.run(manager, 'swarm', 'join-token', role);
        const quiet = await oldDocker.run(manager, 'swarm', 'join-token', '-q', role);
        assert.match(quiet, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}\n$/);
        assert.ok(shown.includes(`docker swarm join --token ${quiet.trim()} `), shown);
        const rotated = await oldDocker.run(manager, 'swarm', 'join-token', '--rotate', '-q', role);
        assert.notEqual(rotated, quiet);
        const again = await oldDocker.run(manager, 'swarm', 'join-token', '-q', role);
        assert.equal(again, rotated);
      }
      const wrong = ['swarm', 'join-token', 'captain'];
      await same(oldDocker, { manager, dockerd }, wrong);
    },
  );

  test(
    'swarm join brings workers in',
    {
      'swarm join': all(
        '--advertise-addr',
        '--availability',
        '--data-path-addr',
        '--listen-addr',
        '--token',
      ),
    },
    async (field) => {
      const { manager } = field;
      const token = (await oldDocker.run(manager, 'swarm', 'join-token', '-q', 'worker')).trim();
      for (const [host, cli] of [
        [field.lab.host('h2'), oldDocker],
        [field.lab.host('h3'), newDocker ?? oldDocker],
      ] as const) {
        const out = await cli.run(
          host,
          'swarm',
          'join',
          '--token',
          token,
          '--advertise-addr',
          host.address,
          '--availability',
          'pause',
          '--data-path-addr',
          host.address,
          '--listen-addr',
          '0.0.0.0:2377',
          `${manager.address}:2377`,
        );
        assert.equal(out, 'This node joined a swarm as a worker.\n');
      }
      await nodesAre(field, ['h1 Ready Active Leader', 'h2 Ready Pause', 'h3 Ready Pause']);
      await oldDocker.run(manager, 'node', 'update', '--availability', 'active', 'h2');
      await oldDocker.run(manager, 'node', 'update', '--availability', 'active', 'h3');
    },
  );
}

function changeSwarm(test: Test): void {
  test(
    'swarm update changes settings',
    {
      'swarm update': all(
        '--cert-expiry',
        '--dispatcher-heartbeat',
        '--max-snapshots',
        '--snapshot-interval',
        '--task-history-limit',
      ),
    },
    async ({ manager, dockerd }) => {
      for (const cli of dockers) {
        // Long enough for no node to be lost to a busy machine in all that follows.
        const flags = [
          '--cert-expiry',
          '72h',
          '--dispatcher-heartbeat',
          '10s',
          '--max-snapshots',
          '2',
          '--snapshot-interval',
          '6000',
          '--task-history-limit',
          '5',
        ];
        await same(cli, { manager, dockerd }, ['swarm', 'update', ...flags]);
      }
      const specs = [manager, dockerd].map(async (host) => {
        return (await host.api<{ Spec: unknown }>('GET', '/swarm')).Spec;
      });
      const [ours, theirs] = await Promise.all(specs);
      assert.deepEqual(ours, theirs);
    },
  );

  test(
    'swarm mistakes are answered as Docker answers them',
    { 'swarm unlock-key': all(), 'swarm unlock': all() },
    async (field) => {
      for (const command of [
        ['swarm', 'init'],
        ['swarm', 'join', '--token', 'x', '10.0.0.1:2377'],
        ['swarm', 'leave'],
        ['swarm', 'unlock'],
        ['swarm', 'unlock-key'],
      ]) {
        await same(oldDocker, field, command);
      }
    },
  );

  test('swarm ca shows the root certificate', { 'swarm ca': all() }, async ({ manager }) => {
    for (const cli of dockers) {
      const out = await cli.run(manager, 'swarm', 'ca');
      assert.match(out, /^-----BEGIN CERTIFICATE-----\n[^]+-----END CERTIFICATE-----\n/);
    }
  });
}

function nodes(test: Test): void {
  test(
    'node ls lists, filters and formats',
    { 'node ls': all('--filter', '--format', '--quiet') },
    async ({ manager }) => {
      for (const cli of dockers) {
        const ids = await cli.lines(manager, 'node', 'ls', '-q');
        assert.equal(ids.length, 3);
        const ls = (...flags: string[]) =>
          cli.lines(manager, 'node', 'ls', ...flags, '--format', nodeRow);
        assert.equal((await ls('--filter', 'role=manager')).length, 1);
        assert.equal((await ls('--filter', 'role=worker')).length, 2);
        assert.match((await ls('--filter', 'name=h2')).join(), /^h2 /);
        assert.equal((await ls('--filter', `id=${ids[0]}`)).length, 1);
        assert.equal((await ls('--filter', 'membership=accepted')).length, 3);
        assert.equal((await ls('--filter', 'node.label=nowhere')).length, 0);
        const table = await cli.run(manager, 'node', 'ls');
        assert.match(
          table,
          /^ID +HOSTNAME +STATUS +AVAILABILITY +MANAGER STATUS +ENGINE VERSION\n/,
        );
      }
    },
  );

  test(
    'node update sets labels and availability',
    { 'node update': all('--availability', '--label-add', '--label-rm') },
    async (field) => {
      const { manager } = field;
      for (const cli of dockers) {
        const change = (...flags: string[]) => cli.run(manager, 'node', 'update', ...flags, 'h2');
        assert.equal(await change('--label-add', 'zone=a', '--availability', 'drain'), 'h2\n');
        const template = '{{.Spec.Labels.zone}} {{.Spec.Availability}}';
        const inspect = () => cli.run(manager, 'node', 'inspect', '--format', template, 'h2');
        assert.equal(await inspect(), 'a drain\n');
        await change('--label-rm', 'zone', '--availability', 'active');
        assert.equal(await inspect(), '<no value> active\n');
      }
    },
  );

  test(
    'node inspect shows JSON and prose',
    { 'node inspect': all('--format', '--pretty') },
    async ({ manager }) => {
      for (const cli of dockers) {
        const [node] = JSON.parse(await cli.run(manager, 'node', 'inspect', 'h3')) as Inspected[];
        assert.equal(node?.Description.Hostname, 'h3');
        const pretty = await cli.run(manager, 'node', 'inspect', '--pretty', 'self');
        assert.match(pretty, /Hostname: +\th1\n[^]*Leader:\t+Yes/);
      }
    },
  );
}

interface Inspected {
  readonly Description: { readonly Hostname: string };
}

function members(test: Test): void {
  test(
    'node promote and demote change the role, also while the others go on',
    { 'node promote': all(), 'node demote': all(), 'node update': ['--role'] },
    async (field) => {
      const { manager } = field;
      // The newly promoted take a moment to follow; one that does not answer yet cannot go.
      assert.match(await oldDocker.run(manager, 'node', 'promote', 'h2'), /promoted to a manager/);
      await nodesAre(field, [
        'h1 Ready Active Leader',
        'h2 Ready Active Reachable',
        'h3 Ready Active',
      ]);
      assert.match(
        await oldDocker.run(manager, 'node', 'update', '--role', 'manager', 'h3'),
        /^h3/,
      );
      const three = ['h1 Ready Active Leader', 'h2 Ready Active Reachable'];
      await nodesAre(field, [...three, 'h3 Ready Active Reachable']);
      const cli = newDocker ?? oldDocker;
      assert.match(await cli.run(manager, 'node', 'demote', 'h3'), /demoted in the swarm/);
      await nodesAre(field, [...three, 'h3 Ready Active']);
      assert.match(await cli.run(manager, 'node', 'demote', 'h2'), /demoted in the swarm/);
      await nodesAre(field, ['h1 Ready Active Leader', 'h2 Ready Active', 'h3 Ready Active']);
      const last = await oldDocker.result(manager, ['node', 'demote', 'h1']);
      assert.equal(last.code, 1);
      assert.match(last.stderr, /attempting to demote the last manager of the swarm/);
    },
  );

  test(
    'swarm leave, node rm, and joining again',
    { 'swarm leave': all('--force'), 'node rm': all('--force') },
    async (field) => {
      const { manager } = field;
      const host = field.lab.host('h3');
      const refused = await oldDocker.result(manager, ['node', 'rm', 'h3']);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /is not down and can't be removed/);
      const [id = ''] = await oldDocker.lines(manager, 'node', 'ls', '-q', '--filter', 'name=h3');
      assert.equal(await oldDocker.run(host, 'swarm', 'leave'), 'Node left the swarm.\n');
      await nodesAre(field, ['h1 Ready Active Leader', 'h2 Ready Active', 'h3 Down Active']);
      const cli = newDocker ?? oldDocker;
      assert.equal(await cli.run(manager, 'node', 'rm', '--force', id), `${id}\n`);
      await nodesAre(field, ['h1 Ready Active Leader', 'h2 Ready Active']);
      const token = (await cli.run(manager, 'swarm', 'join-token', '-q', 'worker')).trim();
      await ownCli.run(host, 'swarm', 'join', '--token', token, `${manager.address}:2377`);
      await nodesAre(field, ['h1 Ready Active Leader', 'h2 Ready Active', 'h3 Ready Active']);
      const forced = await oldDocker.run(host, 'swarm', 'leave', '--force');
      assert.equal(forced, 'Node left the swarm.\n');
      await cli.run(host, 'swarm', 'join', '--token', token, `${manager.address}:2377`);
      await until('h3 is ready again', () => ready(field), { accept: (count) => count === 3 });
      const [gone = ''] = await cli.lines(manager, 'node', 'ls', '--filter', 'name=h3', '-q');
      const left = await until('the one that left is down', () => downNodes(field), {
        accept: ({ length }) => length === 1,
        timeoutMs: 60_000,
      });
      for (const down of left) await cli.run(manager, 'node', 'rm', down);
      assert.notEqual(gone, id);
      await nodesAre(field, ['h1 Ready Active Leader', 'h2 Ready Active', 'h3 Ready Active']);
    },
  );
}

async function ready({ manager }: Field): Promise<number> {
  const lines = await oldDocker.lines(manager, 'node', 'ls', '--format', '{{.Status}}');
  return lines.filter((status) => status === 'Ready').length;
}

async function downNodes({ manager }: Field): Promise<string[]> {
  const lines = await oldDocker.lines(manager, 'node', 'ls', '--format', '{{.ID}} {{.Status}}');
  return lines.filter((line) => line.endsWith(' Down')).map((line) => line.split(' ')[0] ?? '');
}

/** Waits until the nodes of our swarm are listed just so, in order of their names. */
async function nodesAre({ manager }: Field, rows: readonly string[]): Promise<void> {
  let seen: readonly string[] = [];
  const isSo = async () => {
    const lines = await oldDocker.lines(manager, 'node', 'ls', '--format', nodeRow);
    seen = lines.map((line) => line.trim()).toSorted();
    return seen.join() === rows.join();
  };
  try {
    await until(`the nodes are ${rows.join(', ')}`, isSo);
  } catch (error) {
    assert.deepEqual(seen, rows, `${messageOf(error)}\n${manager.daemonTail(30)}`);
    throw error;
  }
}

/** The command says and ends the same on either daemon; Docker's may tell of its RPC besides. */
export async function same(
  cli: Cli,
  { manager, dockerd }: Pick<Field, 'manager' | 'dockerd'>,
  command: readonly string[],
): Promise<void> {
  const [ours, theirs] = await Promise.all(
    [manager, dockerd].map(async (host) => {
      const args = command.map((word) => (word === '{self}' ? host.name : word));
      const { code, stdout, stderr } = await cli.result(host, args);
      const plain = (text: string) =>
        text
          .replaceAll(/rpc error: code = \w+ desc = /g, '')
          .replaceAll(/no such image: \S+: /g, '')
          .replaceAll(/\b[0-9a-z]{25}\b/g, 'ID')
          .replaceAll(new RegExp(`\\b${host.name}\\b`, 'g'), 'HOST')
          .replaceAll(host.address, 'ADDRESS');
      return { code, stdout: plain(stdout), stderr: plain(stderr) };
    }),
  );
  assert.deepEqual(ours, theirs, `docker ${command.join(' ')}`);
}
