/** The usual mistakes: the same answer and the same exit code from either daemon. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { dockers } from './clients.ts';
import { refuses } from './covered.ts';
import type { Field } from './field.ts';
import { refusedValues } from './parity.ts';
import { same } from './swarm-cases.ts';

const unknown = [
  'service inspect nosuch',
  'service ps nosuch',
  'service rm nosuch',
  'service scale nosuch=3',
  'service scale twin=x',
  'service scale twin',
  'service update nosuch',
  'service logs nosuch',
  'service rollback nosuch',
  'service rollback twin',
  'service ps --filter desired-state=foo twin',
  'service ps --filter node=nosuch twin',
  'service logs twin --tail foo',
  'service logs twin --since foo',
  'node inspect nosuch',
  'node ps nosuch',
  'node rm nosuch',
  'node promote nosuch',
  'node update nosuch --availability drain',
  'node ls --filter role=foo',
  'image inspect nosuch',
  'image rm nosuch',
  'image tag nosuch foo',
  'image pull {registry}/nothing:1',
  'image pull {registry}/web:nosuch',
  'inspect nosuch',
  'images --filter before=nosuch',
  'container prune -f --filter until=foo',
  'restart nosuch',
  'events --since 5 --until 4',
];

/** Flags of `service create` that no daemon takes. */
const badFlags: readonly string[] = [
  '--constraint foo',
  '--constraint foo==',
  '--limit-memory 1',
  '--reserve-memory 1',
  '--limit-cpu 0.0001',
  '--health-interval 1us',
  '--update-max-failure-ratio 2',
  '--update-delay=-1s',
  '--restart-delay=-1s',
  '--mode foo',
  '--replicas=-1',
  '--mode global --replicas 2',
  '--network nosuch',
  '--publish published=99999,target=80',
  '--publish target=0',
  '--host foo',
  '--dns foo',
  '--env =x',
  '--ulimit foo=1',
  '--placement-pref foo=bar',
  '--generic-resource foo',
  '--mount type=bind,source=/tmp,target=/x --mount type=bind,source=/tmp,target=/x',
];

/** What Docker takes and this version does not: refused in a sentence, and never ignored. */
const refusals: readonly { verb: string; flag: string; args: string; says: string }[] = [
  {
    verb: 'service create',
    flag: '--credential-spec',
    args: '--credential-spec file://x',
    says: 'credential specs are for Windows containers; this swarm runs Linux ones',
  },
  {
    verb: 'service update',
    flag: '--credential-spec',
    args: '--credential-spec file://x',
    says: 'credential specs are for Windows containers; this swarm runs Linux ones',
  },
];

const others: readonly { args: string; says: string }[] = [
  {
    args: '--mount type=npipe,source=v,target=/v',
    says: 'the mount at /v is of type npipe, which this version does not support; use bind, volume, tmpfs, image or cluster',
  },
  {
    args: '--log-driver gelf',
    says: 'the log driver "gelf" is not supported by this version; use json-file, local, syslog, journald or none',
  },
  {
    args: '--mount type=bind,source=relative,target=/x',
    says: 'invalid bind mount source, must be an absolute path: relative',
  },
  {
    args: '--restart-condition foo',
    says: 'invalid JSON: TaskTemplate.RestartPolicy.Condition: "foo" is not one of none, on-failure, any',
  },
];

export function mistakeCases(get: () => Field): void {
  for (const { verb, flag, says } of refusals) refuses(verb, flag, says);
  for (const { args, says } of others) refuses(refusedValues, args, says);
  for (const cli of dockers) {
    describe(`mistakes, by ${cli.name}`, () => {
      const name = 'twin';
      before(async () => {
        for (const host of [get().manager, get().dockerd]) {
          const image = get().image('sleeper:1');
          await cli.run(host, 'service', 'create', '-d', '--replicas', '0', '--name', name, image);
        }
      });
      after(() => get().clear());

      for (const line of unknown) {
        it(line, () => {
          const words = line.replace('{registry}', get().lab.registry.address).split(' ');
          return same(cli, get(), words);
        });
      }
      const create = (flags: string) => [
        'service',
        'create',
        '-d',
        '--name',
        'wrong',
        '--no-resolve-image',
        ...flags.split(' '),
        get().image('sleeper:1'),
      ];
      for (const flags of badFlags) {
        it(`service create ${flags}`, () => same(cli, get(), create(flags)));
      }
      it('a name that is taken, too long, or no name', async () => {
        for (const bad of [name, 'bad name', 'a'.repeat(64)]) {
          const image = get().image('sleeper:1');
          await same(cli, get(), ['service', 'create', '-d', '--name', bad, image]);
        }
      });
      it('an image that is none', async () => {
        await same(cli, get(), ['service', 'create', '-d', 'BAD:IMAGE']);
      });

      for (const { args, says } of [...others, ...refusals.filter((one) => isCreate(one.verb))]) {
        it(`refused: service create ${args}`, async () => {
          const { code, stderr } = await cli.result(get().manager, create(args));
          assert.equal(code, 1, stderr);
          assert.equal(stderr.replace(/^Error response from daemon: /, '').trim(), says);
        });
      }
      for (const { args, says } of refusals.filter((one) => !isCreate(one.verb))) {
        it(`refused: service update ${args}`, async () => {
          const words = ['service', 'update', '-d', ...args.split(' '), name];
          const { code, stderr } = await cli.result(get().manager, words);
          assert.equal(code, 1, stderr);
          assert.equal(stderr.replace(/^Error response from daemon: /, '').trim(), says);
        });
      }

      it('an image that is not there is told by the tasks', async () => {
        const words = ['service', 'update', '-d', '--image', get().image('nothing:1')];
        await cli.run(get().manager, ...words, '--replicas', '1', name);
        await until('the task is rejected with the reason', async () => {
          const tasks = await get().tasks(name);
          return tasks.some(
            ({ Status }) => Status.State === 'rejected' && /not found/.test(Status.Err ?? ''),
          );
        });
      });
    });
  }

  describe('mistakes of programs', () => {
    after(() => get().clear());
    it('a version that is old, missing, or no number', async () => {
      const { manager, dockerd } = get();
      for (const host of [manager, dockerd]) {
        const ContainerSpec = { Image: get().image('sleeper:1') };
        const spec = { Name: 'stale', TaskTemplate: { ContainerSpec } };
        await host.api('POST', '/services/create', { ...spec, Mode: { Global: {} } });
        const update = (query: string) =>
          host.apiResult('POST', `/services/stale/update${query}`, {
            ...spec,
            Mode: { Global: {} },
            Labels: { a: 'b' },
          });
        const stale = await update('?version=1');
        // Docker calls it an error of its own.
        assert.equal(stale.status, host === manager ? 409 : 500, stale.body);
        assert.match(stale.body, /update out of sequence/);
        for (const query of ['', '?version=x']) {
          const { status, body } = await update(query);
          assert.equal(status, 400, body);
          assert.match(body, /invalid service version/);
        }
      }
    });
  });
}

function isCreate(verb: string): boolean {
  return verb === 'service create';
}
