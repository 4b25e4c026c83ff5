/**
 * Standalone containers: docker's own CLIs do the same with our daemon and with Docker's, and what
 * they print must be the same.
 */
import { strict as assert } from 'node:assert';
import { runResult, until, type Host } from '../lab/index.ts';
import { answerCases } from './answer-cases.ts';
import { dockers, oldDocker, type Cli } from './clients.ts';
import { containerDifferences } from './container-differences.ts';
import { containerFlagScripts, refusedFlags, shownByScripts } from './container-flag-scripts.ts';
import { containerScripts } from './container-scripts.ts';
import { daemonScripts } from './daemon-scripts.ts';
import { linkScripts } from './link-scripts.ts';
import { runFlagCases } from './run-flag-cases.ts';
import { runFlagScripts } from './run-flag-scripts.ts';
import { refuses, shows } from './covered.ts';
import { daemonStart, type Field } from './field.ts';
import { compare } from './json-cases.ts';

const version = '/v1.41';

export function containerCases(get: () => Field): void {
  for (const [title, verb, flags] of shownByScripts) shows(title, `container ${verb}`, ...flags);
  for (const [verb, flag, sentence] of refusedFlags) refuses(`container ${verb}`, flag, sentence);
  describe('standalone containers', () => {
    before(async () => {
      const field = get();
      for (const host of [field.manager, field.dockerd]) {
        const image = field.image('busybox:1');
        const reference = encodeURIComponent(image);
        await host.apiResult('POST', `/images/create?fromImage=${reference}`);
        await host.api('POST', `/images/${reference}/tag?repo=busybox&tag=latest`);
      }
    });
    after(async () => {
      for (const host of [get().manager, get().dockerd]) await removeAll(host);
    });

    for (const cli of dockers) {
      describe(`by ${cli.name}`, () => {
        const scripts = [
          ...containerScripts,
          ...containerFlagScripts,
          ...runFlagScripts,
          // It is the daemons that make links and the like: either CLI passes on what it is told.
          ...(cli === oldDocker ? [...linkScripts, ...daemonScripts] : []),
        ];
        for (const { name, script, differs } of scripts) {
          it(name, async () => {
            const field = get();
            const of = (host: Host) => carriedOut(cli, host, script);
            const [ours, theirs] = await Promise.all([of(field.manager), of(field.dockerd)]);
            assert.equal(ours, differs === undefined ? theirs : differs(theirs));
          });
        }
      });
    }

    runFlagCases(get);
    answerCases(get);

    it('live through the death of the daemon, and are adopted', async () => {
      const host = get().manager;
      const run = (...args: string[]) => oldDocker.run(host, ...args);
      await run(
        'run',
        '-d',
        '--name',
        'stays',
        '-p',
        '127.0.0.1:18099:80',
        'busybox',
        'sleep',
        '1000',
      );
      await run('run', '-d', '--name', 'again', '--restart', 'always', 'busybox', 'sleep', '1');
      const pid = await run('inspect', '-f', '{{.State.Pid}}', 'stays');
      await host.killDaemon();
      await host.startDaemon(daemonStart(get().lab));
      assert.equal(await run('inspect', '-f', '{{.State.Pid}}', 'stays'), pid);
      assert.match(await run('port', 'stays'), /^80\/tcp -> 127\.0\.0\.1:18099/);
      await until('the policy holds', () => run('inspect', '-f', '{{.RestartCount}}', 'again'), {
        accept: (count) => Number(count) > 0,
        timeoutMs: 60_000,
      });
      await removeAll(host);
    });

    it('have documents as Docker’s own', async () => {
      const used = new Set<unknown>();
      const field = get();
      for (const [path, ours, theirs] of await documents(field)) {
        const unexpected = compare(ours, theirs, '').filter((line) => {
          const listed = containerDifferences.find(
            ({ of, what }) => of.test(path) && what.test(line),
          );
          used.add(listed);
          return listed === undefined;
        });
        assert.deepEqual(unexpected, [], path);
      }
      assert.deepEqual(
        containerDifferences.filter((one) => !used.has(one)),
        [],
      );
    });

    it('tell of their lives as Docker’s own', async () => {
      const lives = await Promise.all([get().manager, get().dockerd].map(lifeOf));
      assert.deepEqual(lives[0], lives[1]);
    });

    it('carry a gigabyte and stay small', async () => {
      const host = get().manager;
      const bytes = 2 ** 30;
      const memory = () => host.memory((argv) => argv.includes('daemon')).rssBytes;
      const argv = [oldDocker.path, '-H', host.url, 'run', '--rm', '--log-driver', 'none'];
      const pipe = `${argv.join(' ')} busybox head -c ${bytes} /dev/zero | wc -c`;
      const before = memory();
      const { stdout } = await runResult(['sh', '-c', pipe], { timeoutMs: 280_000 });
      assert.equal(Number(stdout), bytes);
      const grownMiB = (memory() - before) / 2 ** 20;
      assert.ok(grownMiB < 150, `the daemon has grown by ${Math.round(grownMiB)} MiB`);
    });
  });
}

/** What a shell prints that has `docker` for the CLI, without what differs from run to run. */
async function carriedOut(cli: Cli, host: Host, script: string): Promise<string> {
  const text = `DOCKER='${cli.path} -H ${host.url}'; docker() { $DOCKER "$@"; }\n(${script}) 2>&1`;
  const { stdout } = await runResult(['sh', '-c', text], { timeoutMs: 240_000 });
  await removeAll(host);
  return anonymous(stdout);
}

function anonymous(text: string): string {
  return text
    .replaceAll(/\r|\^@|^time=.*error waiting for container.*\n/gim, '')
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'ID')
    .replaceAll(/\b[0-9a-f]{12}\b/g, 'ID')
    .replaceAll(/\b172\.\d+\.\d+\.\d+\b/g, 'ADDRESS')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/^See 'docker .*$|^Run 'docker .*$|^$\n/gm, '');
}

/** One that is being removed already, as by --rm, is removed in its own time. */
async function removeAll(host: Host): Promise<void> {
  await until('no container is left', async () => {
    const all = await host.api<{ Id: string }[]>('GET', '/containers/json?all=1');
    for (const { Id } of all) await host.apiResult('DELETE', `/containers/${Id}?force=1`);
    return all.length === 0;
  });
}

const spec = {
  Image: 'busybox',
  Hostname: 'hh',
  User: '0',
  Env: ['A=b'],
  Cmd: ['sleep', '100'],
  Labels: { l: 'm' },
  ExposedPorts: { '80/tcp': {} },
  StopSignal: 'SIGINT',
  Tty: true,
  OpenStdin: true,
  HostConfig: {
    Binds: ['/etc:/t:ro'],
    PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '18088' }] },
    Memory: 64 * 2 ** 20,
    NanoCpus: 5e8,
    RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
    Tmpfs: { '/tm': 'size=1m' },
    CapAdd: ['NET_ADMIN'],
    PidsLimit: 50,
    Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
    ExtraHosts: ['a:1.1.1.1'],
    Dns: ['8.8.8.8'],
    Mounts: [{ Type: 'bind', Source: '/etc', Target: '/m2' }],
  },
};

/** The same documents of both daemons, through the life of a container. */
async function documents(field: Field): Promise<(readonly [string, unknown, unknown])[]> {
  const out: (readonly [string, unknown, unknown])[] = [];
  const both = async (method: string, path: string, body?: unknown) => {
    const [ours, theirs] = await Promise.all(
      [field.manager, field.dockerd].map((host) => host.api(method, `${version}${path}`, body)),
    );
    out.push([`${method} ${path}`, ours, theirs]);
    return [ours, theirs] as const;
  };
  const filters = encodeURIComponent(JSON.stringify({ name: ['doc'] }));
  await both('POST', '/containers/create?name=doc', spec);
  await both('GET', '/containers/doc/json');
  await both('POST', '/containers/doc/start');
  await both('GET', '/containers/doc/json');
  await both('GET', `/containers/json?filters=${filters}`);
  await both('GET', '/containers/doc/top');
  await both('GET', '/containers/doc/stats?stream=0');
  const used = await Promise.all(
    [field.manager, field.dockerd].map((host) => usageOf(host, 'doc')),
  );
  out.push(['GET /system/df', used[0], used[1]]);
  for (const host of [field.manager, field.dockerd]) {
    const created = { AttachStdout: true, Cmd: ['true'] };
    const { Id } = await host.api<{ Id: string }>('POST', '/containers/doc/exec', created);
    await host.api('POST', `/exec/${Id}/start`, { Detach: true });
    const ask = () => host.api<{ Running: boolean }>('GET', `${version}/exec/${Id}/json`);
    const document = await until('it has ended', ask, { accept: ({ Running }) => !Running });
    if (host === field.manager) out.push(['GET /exec/{id}/json', document, undefined]);
    else out.push(['GET /exec/{id}/json', out.pop()?.[1], document]);
  }
  await both('POST', '/containers/doc/update', { Memory: 70_000_000, MemorySwap: 140_000_000 });
  await both('POST', '/containers/doc/stop?t=1');
  await both('GET', '/containers/doc/json');
  await both('POST', '/containers/doc/wait');
  await both('GET', '/containers/doc/changes');
  await both('DELETE', '/containers/doc');
  return out;
}

async function usageOf(host: Host, name: string): Promise<unknown> {
  const { Containers } = await host.api<{ Containers: { Names: string[] }[] }>(
    'GET',
    `${version}/system/df`,
  );
  return Containers.find(({ Names }) => Names.includes(`/${name}`)) ?? assert.fail('not counted');
}

interface Named {
  readonly name?: string;
}

/** What is told while a container is made, run, commanded and removed. */
async function lifeOf(host: Host): Promise<readonly string[]> {
  const since = Math.floor(Date.now() / 1000);
  const post = (path: string, body?: unknown) => host.api('POST', `/containers/${path}`, body);
  await post('create?name=life', { Image: 'busybox', Cmd: ['sleep', '100'], Labels: { a: 'b' } });
  for (const verb of ['start', 'pause', 'unpause', 'rename?name=lives']) await post(`life/${verb}`);
  await post('lives/restart?t=0');
  await post('lives/kill');
  await host.api('DELETE', '/containers/lives');
  const filters = encodeURIComponent(JSON.stringify({ type: ['container'] }));
  const read = async () => {
    const end = Math.floor(Date.now() / 1000) + 1;
    const { body } = await host.apiResult(
      'GET',
      `${version}/events?since=${since}&until=${end}&filters=${filters}`,
    );
    const lines = body.split('\n').filter((line) => line !== '');
    return (
      lines
        .map((line) => JSON.parse(line) as { Action: string; Actor: { Attributes: Named } })
        // Tasks of the tests before may end meanwhile.
        .filter(({ Actor }) => /^lives?$/.test(Actor.Attributes.name ?? ''))
        .map(({ Action, Actor }) => `${Action} ${Object.keys(Actor.Attributes).toSorted().join()}`)
        .map((line) => line.replace('execDuration,', ''))
    );
  };
  const events = await until('the removal is told', read, {
    accept: (lines) => lines.some((line) => line.startsWith('destroy')),
  });
  // A process that ends by SIGKILL and the one who killed it are heard in any order.
  // Of the same second there may be events of containers that were there before.
  const from = events.findIndex((line) => line.startsWith('create a,'));
  return events.slice(from).toSorted();
}
