/** Secrets and configs: what containers see of them, and where they lie meanwhile. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm, type TaskView, type TestSwarm } from './swarm.ts';

/** Found nowhere on a disk but in what is encrypted. */
const marker = 'correct-horse-battery-staple';

describe('secrets and configs', () => {
  const get = useSwarm({ hosts: 3, images: ['sleeper:1'] });
  const ids = new Map<string, string>();

  before(async () => {
    const swarm = get();
    // A daemon that is killed may take long to come back on a busy machine: nothing is replaced.
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '60s');
    const make = async (kind: string, Name: string, content: string, more = {}) => {
      const Data = Buffer.from(content).toString('base64');
      const spec = { Name, Data, ...more };
      const { ID } = await swarm.manager.api<{ ID: string }>('POST', `/${kind}s/create`, spec);
      ids.set(Name, ID);
    };
    await make('secret', 'password', marker);
    await make('secret', 'key', `${marker}\n`.repeat(1000));
    await make('config', 'motd', 'welcome\n');
    // The largest that there may be.
    await make('config', 'large', 'x'.repeat(1_023_999));
    const template = 'task {{.Task.Slot}} of {{.Service.Name}}: {{env "WHO"}} {{secret "pw"}}\n';
    await make('config', 'told', template, { Templating: { Name: 'golang' } });
  });

  it('are files in memory in the containers that ask for them, and nothing elsewhere', async () => {
    const swarm = get();
    await createUser(swarm, ids);
    const [task] = await swarm.runs('user', 1);
    assert.ok(task);
    const host = swarm.host(task.host);
    assert.equal(inside(swarm, task, 'cat', '/run/secrets/pw'), marker);
    assert.equal(inside(swarm, task, 'stat', '-c', '%a %u %g', '/run/secrets/pw'), '400 7 8');
    assert.equal(inside(swarm, task, 'wc', '-l', '/etc/app/key').split(' ')[0], '1000');
    assert.equal(inside(swarm, task, 'cat', '/motd'), 'welcome');
    assert.equal(inside(swarm, task, 'wc', '-c', '/large').split(' ')[0], '1023999');
    assert.equal(inside(swarm, task, 'cat', '/told'), `task 1 of user: me ${marker}`);
    const mounts = mountsIn(swarm, task);
    for (const path of ['/run/secrets/pw', '/etc/app/key', '/motd', '/told']) {
      assert.match(mounts.get(path) ?? '', /^ro\b.* - tmpfs /, path);
    }
    assert.throws(() => inside(swarm, task, 'sh', '-c', 'echo x > /motd'));
    for (const one of swarm.hosts) assert.deepEqual(onDisk(one, marker), [], one.name);
    assert.notDeepEqual(onDisk(host, task.id), [], 'what is on the disk is found');
    assert.equal(mountCount(host), 1);

    await host.killDaemon();
    await host.startDaemon();
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
    const [again] = await swarm.runs('user', 1);
    assert.equal(again?.id, task.id, 'the task was adopted');
    assert.equal(inside(swarm, task, 'cat', '/run/secrets/pw'), marker);

    await swarm.cli('service', 'rm', 'user');
    await swarm.containersAre([]);
    await until('the file system is gone', () => mountCount(host), { accept: (n) => n === 0 });
    assert.deepEqual(onDisk(host, marker), []);
  });

  it('are told to no node but those whose tasks need them', async () => {
    const swarm = get();
    await createUser(swarm, ids);
    await swarm.runs('user', 1);
    const [needs, needsNot] = [swarm.host('h2'), swarm.host('h3')];
    // It may be moved from where is yet to be read to where has been read.
    await until('its node knows it', () => inMemory(needs, marker));
    assert.equal(inMemory(needsNot, marker), false);
  });

  it('are edited behind their names, for the services that use them and no others', async () => {
    const swarm = get();
    const text = (content: string) => {
      const path = join(swarm.lab.folder, 'content');
      writeFileSync(path, content);
      return path;
    };
    const contents = async () => {
      const tasks = await swarm.runs('user', 2);
      return tasks.map((task) => inside(swarm, task, 'cat', '/run/secrets/token')).join();
    };
    const kept = () =>
      swarm.cli('secret', 'revisions', '--format', '{{.Revision}} {{.Services}}', 'token');
    await swarm.cli('secret', 'create', '--label', 'tier=db', 'token', text('one'));
    const image = imageOf(swarm, 'sleeper:1');
    const quick = ['--update-parallelism', '2', '--rollback-parallelism', '2'];
    const flags = ['--replicas', '2', '--rollback-monitor', '300ms', ...quick];
    await swarm.create('user', ...flags, '--secret', 'token', image);
    await swarm.create('other', '--secret', 'password', image);
    const [bystander] = await swarm.runs('other', 1);

    await swarm.cli('secret', 'update', 'token', text('two'));
    assert.equal(await contents(), 'two,two');
    assert.deepEqual(await kept(), '1 \n2 user\n');
    assert.equal(
      await swarm.manager.docker('secret', 'ls', '--format', '{{.Name}}', '--filter', 'name=token'),
      'token\n',
    );
    const format = '{{.Spec.Name}} {{.Spec.Labels}}';
    assert.equal(
      await swarm.manager.docker('secret', 'inspect', '--format', format, 'token'),
      'token map[tier:db]\n',
    );

    await swarm.cli('service', 'rollback', 'user');
    assert.equal(await contents(), 'one,one');
    assert.match(await kept(), /^1 user$/m);
    const inUse = await swarm.manager.dockerResult('secret', 'rm', 'token');
    assert.match(inUse.stderr, /secret 'token' is in use by the following service: user/);

    await swarm.cli('secret', 'update', '--quiet', 'token', text('three'));
    assert.equal(await contents(), 'three,three');
    await swarm.cli('service', 'update', '--quiet', '--env-add', 'A=1', 'user');
    await until('only the last content is left', kept, { accept: (lines) => lines === '3 user\n' });
    assert.deepEqual(
      (await swarm.runs('other', 1)).map(({ id }) => id),
      [bystander?.id],
    );
    await swarm.cli('service', 'rm', 'user');
    await until('it can be removed', () => swarm.manager.cliResult('secret', 'rm', 'token'), {
      accept: ({ code }) => code === 0,
    });
  });
});

async function createUser(swarm: TestSwarm, ids: ReadonlyMap<string, string>): Promise<void> {
  const file = (Name: string, more = {}) => ({ Name, UID: '0', GID: '0', Mode: 0o444, ...more });
  await swarm.manager.api('POST', '/services/create', {
    Name: 'user',
    TaskTemplate: {
      ContainerSpec: {
        Image: imageOf(swarm, 'sleeper:1'),
        Env: ['WHO=me'],
        Secrets: [
          {
            SecretID: ids.get('password'),
            SecretName: 'password',
            File: file('pw', { UID: '7', GID: '8', Mode: 0o400 }),
          },
          { SecretID: ids.get('key'), SecretName: 'key', File: file('/etc/app/key') },
        ],
        Configs: [
          { ConfigID: ids.get('motd'), ConfigName: 'motd', File: file('motd') },
          { ConfigID: ids.get('large'), ConfigName: 'large', File: file('large') },
          { ConfigID: ids.get('told'), ConfigName: 'told', File: file('/told') },
        ],
      },
      Placement: { Constraints: ['node.hostname==h2'] },
    },
  });
}

/** What the command prints, as root in the container's namespaces. */
function inside(swarm: TestSwarm, task: TaskView, ...argv: readonly string[]): string {
  const args = ['-t', String(swarm.pidOf(task)), '-m', '-p', '--', ...argv];
  return execFileSync('nsenter', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** The lines of the container's mountinfo, from the options on, by mount point. */
function mountsIn(swarm: TestSwarm, task: TaskView): ReadonlyMap<string, string> {
  const text = readFileSync(`/proc/${swarm.pidOf(task)}/mountinfo`, 'utf8');
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return new Map(lines.map(([, , , , point = '', ...rest]) => [point, rest.join(' ')]));
}

/** Files below the host's folders that hold the text, on whatever is no memory. */
function onDisk(host: Host, text: string): string[] {
  const encoded = Buffer.from(text).toString('base64').slice(0, 32);
  const args = ['-rlasF', '-e', text, '-e', encoded, host.dataRoot, host.runRoot];
  for (let tries = 0; ; tries++) {
    try {
      return execFileSync('grep', args, { encoding: 'utf8' }).trim().split('\n');
    } catch (error) {
      const { status } = error as { status?: number };
      if (status === 1) return [];
      // 2 is said of a file that went while it was looked for: all are looked into again.
      if (status !== 2 || tries === 20) throw error;
    }
  }
}

/** Whether the daemon has the text, as it is or in base64, anywhere in its memory. */
function inMemory(host: Host, text: string): boolean {
  const wanted = [text, Buffer.from(text).toString('base64').slice(0, 32)];
  const maps = readFileSync(`/proc/${host.daemonPid}/maps`, 'utf8').split('\n');
  const memory = openSync(`/proc/${host.daemonPid}/mem`, 'r');
  try {
    return maps.some((line) => {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === '') return false;
      const start = Number.parseInt(from, 16);
      const region = Buffer.alloc(Number.parseInt(to, 16) - start);
      const bytes = readThere(memory, region, start);
      return wanted.some((one) => region.subarray(0, bytes).includes(one, 0, 'latin1'));
    });
  } finally {
    closeSync(memory);
  }
}

/** Regions come and go while the daemon runs: one that is gone holds nothing. */
function readThere(memory: number, region: Buffer, start: number): number {
  try {
    return readSync(memory, region, 0, region.length, start);
  } catch (error) {
    if (['EIO', 'EFAULT', 'ENOMEM'].includes((error as { code?: string }).code ?? '')) return 0;
    throw error;
  }
}

/** File systems that the daemon has made for the files of containers. */
function mountCount(host: Host): number {
  const mounts = readFileSync(`/proc/${host.daemonPid}/mounts`, 'utf8').split('\n');
  return mounts.filter((line) => line.includes(`${host.runRoot}/runtime/files/`)).length;
}
