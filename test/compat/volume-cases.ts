/** The verbs of `docker volume`, and volumes in containers: as Docker's own daemon has them. */
import { strict as assert } from 'node:assert';
import { runResult, until, type Host } from '../lab/index.ts';
import { dockers, newDocker, oldDocker, ownCli, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';
import { compare } from './json-cases.ts';
import { all } from './service-cases.ts';
import { same } from './swarm-cases.ts';

/** Told alike by either daemon, where volumes `one` and `two` are there. */
const alike: readonly string[] = [
  'volume create one',
  'volume create x',
  'volume create a/b',
  'volume create -o foo=bar other',
  'volume create -o type=tmpfs other',
  'volume create -o o=ro,uid=5 other',
  'volume inspect nosuch',
  'volume inspect --format {{.Name}}:{{.Driver}}:{{.Labels}}:{{.Options}}:{{.Scope}} one two',
  'volume rm nosuch',
  'volume rm -f nosuch',
  'volume ls',
  'volume ls -q',
  'volume ls --filter name=on --format {{.Name}}:{{.Driver}}:{{.Scope}}:{{.Labels}}',
  'volume ls --filter label=tier --format {{.Name}}',
  'volume ls --filter label=tier=web -q',
  'volume ls --filter driver=local --filter dangling=true -q',
  'volume ls --filter driver=other -q',
  'run --rm -v one:relative busybox true',
  'run --rm -v one:/x:bogus busybox true',
  'run --rm -v a/b:/x busybox true',
  'run --rm -v one:/x -v two:/x busybox true',
];

/** What a shell prints with either daemon. */
const script = `
  docker run --rm -v one:/bin/d busybox sh -c 'echo x > /bin/d/f'
  docker run --rm -v one:/d:ro busybox cat /d/f
  docker run --rm -v one:/d:ro busybox touch /d/g
  docker run --rm -v filled:/etc busybox cat /etc/group
  docker run --rm -v bare:/etc:nocopy busybox ls /etc/group
  docker run --rm -v filled:/x busybox sh -c 'ls /x/group; stat -c %a:%u /x'
  docker run -d --name aa -v one:/d -v /anon -v two:/two:ro,nocopy \\
    --mount type=volume,src=mm,dst=/mm \\
    --mount type=volume,dst=/noname busybox sleep 1000
  docker volume rm one mm
  docker run --rm --volumes-from aa busybox sh -c 'cat /d/f; ls -d /anon /mm; touch /d/g'
  docker run --rm --volumes-from aa:ro busybox touch /d/g
  docker ps --filter volume=one --format '{{.Names}}'; docker ps -q --filter volume=none
  docker inspect -f '{{range .Mounts}}{{println .Type .Destination .Driver .Mode .RW}}{{end}}' aa | sort
  docker volume ls -qf dangling=true; docker rm -f aa; docker volume ls -q | wc -l
  docker run -d --name bb -v /anon busybox sleep 1000; docker rm -fv bb; docker volume ls -q | wc -l
  docker run --rm -v /anon -v one:/d busybox true; docker volume ls -q | wc -l
  docker volume create -d local -o type=tmpfs -o device=tmpfs -o o=size=1m,mode=755 quick
  docker run --rm -v quick:/q busybox sh -c 'df /q | tail -1 | cut -c1-20'
  docker create --name cc -v seeded:/etc busybox true
  docker run --rm -v seeded:/x busybox ls /x/passwd
`;

export function volumeCases(get: () => Field): void {
  const verbs = {
    'volume create': all('--driver', '--label', '--opt'),
    'volume ls': all('--filter', '--format', '--quiet'),
    'volume inspect': all('--format'),
    'volume rm': all('--force'),
    'volume prune': all('--filter', '--force', ...(newDocker === undefined ? [] : ['--all'])),
  };
  const title = 'volume create, ls, inspect, rm and prune are as Docker’s';
  for (const [verb, flags] of Object.entries(verbs)) shows(title, verb, ...flags);

  describe('volumes', () => {
    before(async () => {
      const field = get();
      for (const host of [field.manager, field.dockerd]) {
        const reference = encodeURIComponent(field.image('busybox:1'));
        await host.apiResult('POST', `/images/create?fromImage=${reference}`);
        await host.api('POST', `/images/${reference}/tag?repo=busybox&tag=latest`);
        // Volumes of other cases would be listed too.
        await clear(host);
      }
    });
    afterEach(async () => {
      for (const host of [get().manager, get().dockerd]) await clear(host);
    });

    for (const cli of dockers) {
      it(`${title}, by ${cli.name}`, async () => {
        const field = get();
        for (const host of [field.manager, field.dockerd]) {
          await cli.run(host, 'volume', 'create', '--label', 'tier=db', 'one');
          await cli.run(host, 'volume', 'create', '-d', 'local', 'two');
        }
        for (const line of alike) await same(cli, field, line.split(' '));
        await prunes(cli, field.manager);
      });

      it(`in containers do as Docker’s, by ${cli.name}`, async () => {
        const field = get();
        const [ours, theirs] = await Promise.all(
          [field.manager, field.dockerd].map((host) => carriedOut(cli, host)),
        );
        assert.equal(ours, theirs);
      });
    }

    it('are what they are to ts-swarm as well', async () => {
      const { manager } = get();
      const create = ['volume', 'create', '--label', 'tier=db', 'one'];
      assert.equal(await ownCli.run(manager, ...create), 'one\n');
      for (const line of ['volume ls', 'volume ls -q', 'volume inspect one']) {
        const words = line.split(' ');
        const theirs = await oldDocker.run(manager, ...words);
        assert.equal(await ownCli.run(manager, ...words), theirs, line);
      }
      const updated = await ownCli.result(manager, ['volume', 'update', 'one']);
      assert.match(updated.stderr, /only cluster volumes, of a CSI driver, can be updated/);
      await prunes(ownCli, manager);
      const refused = await manager.apiResult('POST', '/volumes/create', {
        Name: 'cluster',
        ClusterVolumeSpec: {},
      });
      // As Docker says it of a host that is no manager of a swarm.
      assert.equal(refused.status, 503);
    });

    it('have documents and events as Docker’s own', async () => {
      const [ours, theirs] = await Promise.all([get().manager, get().dockerd].map(lifeOf));
      assert.deepEqual(compare(ours?.documents, theirs?.documents, ''), []);
      assert.deepEqual(ours?.statuses, theirs?.statuses);
      assert.deepEqual(ours?.events, theirs?.events);
    });
  });
}

/** As Docker 23 and later do: volumes with a name stay, unless all are meant. */
async function prunes(cli: Cli, host: Host): Promise<void> {
  await clear(host);
  await cli.run(host, 'volume', 'create', '--label', 'keep=1', 'kept');
  await cli.run(host, 'volume', 'create', 'named');
  const name = (await cli.run(host, 'volume', 'create')).trim();
  const prune = async (...flags: string[]) =>
    (await cli.result(host, ['volume', 'prune', ...flags], { input: 'n\n' })).stdout;
  assert.match(await prune(), /^WARNING! This will remove [^]*\[y\/N\] /);
  const first = await prune('--force', '--filter', 'label!=keep');
  assert.match(first, new RegExp(`Deleted Volumes:\\n[^]*${name}\\n[^]*reclaimed space: 0B\\n`));
  // The API of 20.10 has no other way than to prune all.
  assert.equal(/^named$/m.test(first), cli === oldDocker);
  if (cli !== oldDocker) {
    assert.match(await prune('--all', '-f'), /^Deleted Volumes:\n(kept\nnamed|named\nkept)\n/);
  }
}

async function carriedOut(cli: Cli, host: Host): Promise<string> {
  const text = `DOCKER='${cli.path} -H ${host.url}'; docker() { $DOCKER "$@"; }\n(${script}) 2>&1`;
  const { stdout } = await runResult(['sh', '-c', text], { timeoutMs: 240_000 });
  return stdout.replaceAll(/\b[0-9a-f]{64}\b/g, 'ID');
}

async function clear(host: Host): Promise<void> {
  await until('no volume is left', async () => {
    const containers = await host.api<{ Id: string }[]>('GET', '/containers/json?all=1');
    for (const { Id } of containers) {
      await host.apiResult('DELETE', `/containers/${Id}?force=1&v=1`);
    }
    const { Volumes } = await host.api<{ Volumes: { Name: string }[] | null }>('GET', '/volumes');
    for (const { Name } of Volumes ?? []) await host.apiResult('DELETE', `/volumes/${Name}`);
    return containers.length === 0 && (Volumes ?? []).length === 0;
  });
}

const version = '/v1.41';

/** All that is answered and told of a volume, a container that has it, and its end. */
async function lifeOf(host: Host) {
  const documents: unknown[] = [];
  const statuses: number[] = [];
  const since = Math.floor(Date.now() / 1000);
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await host.apiResult(method, `${version}${path}`, body);
    statuses.push(answer.status);
    documents.push(answer.body === '' ? '' : (JSON.parse(answer.body) as unknown));
  };
  await ask('POST', '/volumes/create', { Name: 'life', Labels: { a: 'b' } });
  await ask('POST', '/volumes/create', {
    Name: 'swift',
    DriverOpts: { type: 'tmpfs', device: 'tmpfs' },
  });
  await ask('GET', '/volumes/life');
  await ask('GET', '/volumes');
  await ask('POST', '/containers/create?name=uses', {
    Image: 'busybox',
    Cmd: ['sleep', '1000'],
    HostConfig: { Binds: ['life:/x', 'swift:/q:ro'] },
  });
  await ask('POST', '/containers/uses/start');
  const { Mounts } = await host.api<{ Mounts: { Destination: string }[] }>(
    'GET',
    `${version}/containers/uses/json`,
  );
  documents.push(Mounts.toSorted((a, b) => (a.Destination < b.Destination ? -1 : 1)));
  const usage = await host.api<{ Volumes: { Name: string }[] }>('GET', `${version}/system/df`);
  documents.push(usage.Volumes.toSorted((a, b) => (a.Name < b.Name ? -1 : 1)));
  await ask('DELETE', '/volumes/life');
  await ask('DELETE', '/containers/uses?force=1');
  await ask('DELETE', '/volumes/life');
  await ask('DELETE', '/volumes/life');
  await ask('DELETE', '/volumes/life?force=1');
  await ask('GET', '/volumes?filters={"nonsense":["1"]}');
  await ask('POST', '/volumes/prune');
  await ask('POST', '/volumes/prune');
  const end = Math.floor(Date.now() / 1000) + 1;
  const filters = encodeURIComponent('{"type":["volume"]}');
  const path = `${version}/events?since=${since}&until=${end}&filters=${filters}`;
  const { body } = await host.apiResult('GET', path);
  const events = body
    .split('\n')
    .filter((line) => line !== '')
    .map(
      (line) => JSON.parse(line) as { Action: string; Actor: { ID: string; Attributes: object } },
    )
    // Those of the tests before may have come in the same second.
    .filter(({ Actor }) => ['life', 'swift'].includes(Actor.ID))
    .map(
      ({ Action, Actor }) =>
        `${Action} ${Actor.ID} ${Object.keys(Actor.Attributes).toSorted().join()}`,
    );
  // Volumes of a container come in any order, and 20.10 tells of one that is there as of a new one.
  return { documents, statuses, events: [...new Set(events)].toSorted() };
}
