/** Volumes of the whole swarm, from a CSI driver on three real hosts, by docker's own CLI. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../lab/index.ts';
import { newDocker } from '../compat/clients.ts';
import { SharedStorage } from './shared-storage.ts';
import { imageOf, useSwarm, words, type TaskView } from './swarm.ts';

describe('cluster volumes', () => {
  const get = useSwarm({ hosts: 3, images: ['sleeper:1'] });
  const storage = new SharedStorage(get);
  before(() => storage.start());
  afterEach(async () => {
    for (const { name } of get().hosts) {
      await get().cli('node', 'update', '--availability', 'active', name);
    }
    await get().clear();
    await storage.clear();
    storage.checkUnharmed();
  });

  const make = (name: string, ...flags: readonly string[]) => storage.make(name, ...flags);
  const inspect = (name: string) => storage.inspect(name);
  const isMade = (name: string) => storage.isMade(name);
  const publishedTo = (name: string) => storage.publishedTo(name);
  const inTask = (task: TaskView, path: string) => storage.inTask(task, path);
  const arrayHas = (name: string) => storage.arrayHas(name);
  const inDirectory = (...parts: readonly string[]) => join(storage.directory, ...parts);

  it('are made, used, moved with their data, drained and removed', async () => {
    const swarm = get();
    await make('data', '--type', 'mount', '--required-bytes', '1m');
    await isMade('data');
    const made = await inspect('data');
    assert.equal(made.Scope, 'global');
    assert.equal(made.ClusterVolume.Info?.CapacityBytes, 1024 * 1024);
    const mount = 'type=cluster,source=data,target=/data';
    const flags = ['--replicas', '1', '--mount', mount, '--restart-delay', '100ms'];
    await swarm.create('db', ...flags, imageOf(swarm, 'sleeper:1'));
    const [first] = await swarm.runs('db', 1);
    assert.ok(first !== undefined);
    writeFileSync(inTask(first, '/data/kept'), 'kept');
    assert.equal(await publishedTo('data'), 1);
    assert.deepEqual(arrayHas('data'), [`node-${first.host}`]);
    const inUse = await swarm.manager.cliResult('volume', 'rm', 'data');
    assert.match(inUse.stderr, /volume is in use by the service db/);

    await swarm.cli('node', 'update', '--availability', 'drain', first.host);
    const isNext = ({ id, state }: TaskView) => id !== first.id && state === 'running';
    const moved = await swarm.untilTasks('it runs elsewhere', 'db', (all) => all.some(isNext));
    const second = moved.find(isNext);
    assert.ok(second !== undefined && second.host !== first.host);
    assert.equal(readFileSync(inTask(second, '/data/kept'), 'utf8'), 'kept');
    assert.deepEqual(arrayHas('data'), [`node-${second.host}`]);
    await swarm.cli('node', 'update', '--availability', 'active', first.host);

    await swarm.cli('volume', 'update', '--availability', 'drain', 'data');
    await swarm.untilTasks('the task waits for a volume that is not drained', 'db', (tasks) =>
      tasks.some(({ err }) => /volume data: it is drained/.test(err)),
    );
    await until('it is published nowhere', async () => (await publishedTo('data')) === 0);
    assert.deepEqual(arrayHas('data'), []);
    await swarm.cli('volume', 'update', '--availability', 'active', 'data');
    const [third] = await swarm.runs('db', 1);
    assert.ok(third !== undefined);
    assert.equal(readFileSync(inTask(third, '/data/kept'), 'utf8'), 'kept');
    await swarm.clear();
    await until('it is let go of', async () => (await publishedTo('data')) === 0);
    await swarm.cli('volume', 'rm', 'data');
    await until('its driver has deleted it', () => !existsSync(inDirectory('volumes', 'data')));
    await until('it is forgotten', async () => {
      const left = await swarm.cli('volume', 'ls', '-q', '--cluster');
      return left.trim() === '';
    });
  });

  it('of a group are one for each task, and access is what it may be', async () => {
    const swarm = get();
    const group = ['--type', 'mount', '--group', 'shards'];
    await make('shard-a', ...group);
    await make('shard-b', ...group);
    await Promise.all([isMade('shard-a'), isMade('shard-b')]);
    const mount = 'type=cluster,source=group:shards,target=/data';
    await swarm.createDetached(
      'shards',
      '--replicas',
      '3',
      '--mount',
      mount,
      imageOf(swarm, 'sleeper:1'),
    );
    const tasks = await swarm.untilTasks('two run, one has no volume', 'shards', (all) => {
      const waits = all.filter(({ err }) => /another task uses it|to let go of it/.test(err));
      return all.filter(({ state }) => state === 'running').length === 2 && waits.length === 1;
    });
    for (const task of tasks.filter(({ state }) => state === 'running')) {
      writeFileSync(inTask(task, '/data/mine'), task.id);
    }
    const contents = ['shard-a', 'shard-b'].map((name) =>
      readFileSync(inDirectory('volumes', name, 'mine'), 'utf8'),
    );
    assert.equal(new Set(contents).size, 2);

    await make('disk', '--type', 'block');
    await isMade('disk');
    const disk = 'type=cluster,source=disk,target=/dev/disk';
    await swarm.create('disk', '--replicas', '1', '--mount', disk, imageOf(swarm, 'sleeper:1'));
    const [holder] = await swarm.runs('disk', 1);
    assert.ok(holder !== undefined);
    const node = statSync(inTask(holder, '/dev/disk'));
    assert.deepEqual([node.isBlockDevice(), node.rdev], [true, (7 << 8) | 200]);

    await make('papers', '--type', 'mount', '--scope', 'multi', '--sharing', 'readonly');
    await isMade('papers');
    const writer = 'type=cluster,source=papers,target=/p';
    const image = imageOf(swarm, 'sleeper:1');
    await swarm.createDetached('writer', '--replicas', '1', '--mount', writer, image);
    await swarm.untilTasks('the writer is refused', 'writer', ([task]) =>
      /volume papers: it can only be mounted readonly/.test(task?.err ?? ''),
    );
    await swarm.create('reader', '--mode', 'global', '--mount', `${writer},readonly`, image);
    const readers = await swarm.runs('reader', 3);
    assert.throws(() => writeFileSync(inTask(readers[0]!, '/p/x'), 'x'), /EROFS/);
    assert.equal(arrayHas('papers').length, 3);
  });

  it('tell what their drivers cannot do, are where they can be reached, and know secrets', async () => {
    const swarm = get();
    await make('broken', '--type', 'mount', '-o', 'fail=now');
    await until('the driver is heard', async () => (await inspect('broken')).Status?.['Error'], {
      accept: (said) => said === 'create: shared.test: told to fail: now',
    });
    const mount = (name: string) => `type=cluster,source=${name},target=/d`;
    const image = imageOf(swarm, 'sleeper:1');
    await swarm.createDetached('waits', '--replicas', '1', '--mount', mount('broken'), image);
    await swarm.untilTasks('the task tells as well', 'waits', ([task]) =>
      /volume broken: waiting for the driver shared.test to make it: .*told to fail/.test(
        task?.err ?? '',
      ),
    );
    writeFileSync(inDirectory('repaired'), '');
    await swarm.runs('waits', 1);

    writeFileSync(inDirectory('token'), 'xyz');
    await swarm.cli('secret', 'create', 'token', inDirectory('token'));
    const withSecret = ['--type', 'mount', '-o', 'token=xyz', '--secret', 'token=token'];
    await make('guarded', ...withSecret, '--topology-required', 'zone=far');
    await isMade('guarded');
    await swarm.create('far', '--replicas', '1', '--mount', mount('guarded'), image);
    const [task] = await swarm.runs('far', 1);
    assert.equal(task?.host, 'h3');
    const flags = words('--driver shared.test --secret a=nowhere v');
    const bad = await swarm.manager.cliResult('volume', 'create', ...flags);
    assert.match(bad.stderr, /secret nowhere not found/);
  });

  it("are docker's own, to its unmodified CLI", async function () {
    const docker = newDocker;
    if (docker === undefined) {
      this.skip();
      return;
    }
    const swarm = get();
    const run = (...args: readonly string[]) => docker.run(swarm.manager, ...args);
    const create = ['volume', 'create', '--driver', 'shared.test', '--type', 'mount'];
    const limits = ['--required-bytes', '1k', '--limit-bytes', '2k', '--group', 'g'];
    assert.equal(
      await run(...create, '--scope', 'multi', '--sharing', 'all', ...limits, 'many'),
      'many\n',
    );
    await isMade('many');
    const listed = async () => {
      const [, ...rows] = (await run('volume', 'ls', '--cluster')).trimEnd().split('\n');
      return rows.map((row) => row.replace(/ +/g, ' ')).join();
    };
    assert.equal(await listed(), 'many g shared.test active created');
    const mount = 'type=cluster,source=group:g,target=/data';
    const flags = ['--detach', '--name', 'many', '--mount', mount, '--mode', 'global'];
    await run('service', 'create', ...flags, imageOf(swarm, 'sleeper:1'));
    const [first, second] = await swarm.runs('many', 3);
    assert.ok(first !== undefined && second !== undefined);
    writeFileSync(inTask(first, '/data/shared'), 'by all');
    assert.equal(readFileSync(inTask(second, '/data/shared'), 'utf8'), 'by all');
    assert.equal(await listed(), 'many g shared.test active in use (3 nodes)');
    const format = '{{(index .ClusterVolume.PublishStatus 0).State}} {{.ClusterVolume.Spec.Group}}';
    assert.equal(await run('volume', 'inspect', '-f', format, 'many'), 'published g\n');
    const csi = '{{(index .Description.CSIInfo 0).PluginName}}';
    assert.equal(await run('node', 'inspect', '-f', csi, 'h2'), 'shared.test\n');
    // Docker's CLI does not try again where the managers have noted something meanwhile.
    const pause = ['volume', 'update', '--availability', 'pause', 'many'];
    await until('docker updates', () => run(...pause).then(() => true));
    assert.equal((await inspect('many')).ClusterVolume.Spec.Availability, 'pause');
    await run('service', 'rm', 'many');
    await until('it is let go of', async () => (await publishedTo('many')) === 0);
    assert.equal(await run('volume', 'rm', 'many'), 'many\n');
    await until('it is gone', async () => (await listed()) === '');
  });
});
