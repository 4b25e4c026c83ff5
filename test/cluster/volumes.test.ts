/** Volumes of services and of people's containers, on real hosts. */
import { strict as assert } from 'node:assert';
import { readFileSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newDocker, ownCli } from '../compat/clients.ts';
import { until } from '../lab/index.ts';
import { imageOf, useSwarm, words } from './swarm.ts';

describe('volumes', () => {
  const get = useSwarm({ hosts: 2, images: ['sleeper:1'] });
  before(async () => {
    await get().lab.registry.push('keeper:1', {
      files: {
        '/srv/data/first': 'of the image\n',
        '/bin/run': '#!/bin/sh\ntrap "exit 0" TERM\nsleep 1000000 &\nwait $!\n',
      },
      cmd: ['/bin/run'],
      volumes: ['/srv/data'],
    });
  });

  const volumesOf = async (host: { cli(...args: string[]): Promise<string> }) =>
    (await host.cli('volume', 'ls', '-q')).split('\n').filter((line) => line !== '');

  const allVolumes = async () => (await Promise.all(get().hosts.map(volumesOf))).flat().toSorted();

  afterEach(async () => {
    await get().clear();
    for (const host of get().hosts) {
      await until('no volume is left', async () => {
        await host.cliResult('volume', 'prune', '--all', '--force');
        return (await volumesOf(host)).length === 0;
      });
    }
  });

  it('are made where a task needs them, filled from the image, and outlive the service', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'keeper:1');
    const mount = 'type=volume,source=data-{{.Task.Slot}},target=/srv/data,volume-label=a=b';
    const flags = words('--replicas 2 --restart-delay 100ms');
    await swarm.create('keep', ...flags, '--mount', mount, image);
    for (const task of await swarm.runs('keep', 2)) {
      const host = swarm.host(task.host);
      const name = `data-${task.slot}`;
      const [document] = JSON.parse(await host.cli('volume', 'inspect', name)) as [
        { Mountpoint: string; Labels: unknown },
      ];
      assert.deepEqual(document.Labels, { a: 'b' });
      assert.equal(await host.exec(['cat', `${document.Mountpoint}/first`]), 'of the image\n');
      const inUse = await host.cliResult('volume', 'rm', name);
      assert.match(inUse.stderr, /volume is in use - \[[0-9a-f]{64}\]/);
      writeFileSync(`/proc/${swarm.pidOf(task)}/root/srv/data/second`, 'mine\n');
      assert.equal(await host.exec(['cat', `${document.Mountpoint}/second`]), 'mine\n');
    }
    await swarm.cli('service', 'rm', 'keep');
    await until('the anonymous ones are gone, and the others stay', () => allVolumes(), {
      accept: (names) => names.join() === 'data-1,data-2',
    });
  });

  it('are waited for by the replica of their slot, where that is required', async () => {
    const swarm = get();
    const mount = 'type=volume,source=slot-{{.Task.Slot}},target=/d';
    const flags = words('--replicas 2 --restart-delay 100ms --label');
    const label = 'ts-swarm.volumes.follow=require';
    await swarm.create('home', ...flags, label, '--mount', mount, imageOf(swarm, 'sleeper:1'));
    const tasks = await swarm.runs('home', 2);
    const before = tasks.map(({ slot, host }) => `${slot} ${host}`);
    const away = tasks.find(({ host }) => host === 'h2');
    assert.ok(away !== undefined, before.join());
    writeFileSync(`/proc/${swarm.pidOf(away)}/root/d/kept`, 'kept');
    await swarm.cli('node', 'update', '--availability', 'drain', 'h2');
    await swarm.untilTasks('the replica waits', 'home', (all) =>
      all.some(({ err }) => err.includes(`waits for h2, which has its volume slot-${away.slot}`)),
    );
    await swarm.cli('node', 'update', '--availability', 'active', 'h2');
    const after = await swarm.runs('home', 2);
    assert.deepEqual(
      after.map(({ slot, host }) => `${slot} ${host}`),
      before,
    );
    const back = after.find(({ host }) => host === 'h2');
    assert.ok(back !== undefined && back.id !== away.id);
    assert.equal(readFileSync(`/proc/${swarm.pidOf(back)}/root/d/kept`, 'utf8'), 'kept');
    await swarm.cli('service', 'update', '--label-add', label.replace('require', 'prefer'), 'home');
    await swarm.cli('service', 'update', '--force', 'home');
    const preferred = await swarm.runs('home', 2);
    assert.deepEqual(
      preferred.map(({ slot, host }) => `${slot} ${host}`),
      before,
    );
  });

  it('without a name come with the image, and go with the task', async () => {
    const swarm = get();
    await swarm.create('brief', '--replicas', '1', imageOf(swarm, 'keeper:1'));
    const [task] = await swarm.runs('brief', 1);
    assert.ok(task !== undefined);
    const host = swarm.host(task.host);
    const [name = ''] = await volumesOf(host);
    assert.match(name, /^[0-9a-f]{64}$/);
    await swarm.cli('service', 'rm', 'brief');
    await until('the volume is gone', () => volumesOf(host), {
      accept: (left) => left.length === 0,
    });
  });

  it('of tmpfs and of folders are mounted while somebody uses them', async () => {
    const swarm = get();
    const host = swarm.manager;
    const mounted = () => host.exec(`grep -c volumes/quick /proc/self/mountinfo || true`);
    const make = (name: string, ...options: string[]) =>
      host.cli('volume', 'create', ...options.flatMap((one) => ['-o', one]), name);
    await make('quick', 'type=tmpfs', 'device=tmpfs', 'o=size=1m,uid=7');
    await make('bound', 'type=none', 'device=/etc', 'o=bind,ro');
    await make('broken', 'type=none', 'device=/nowhere', 'o=bind');
    const flags = ['--mount', 'source=quick,target=/q', '--mount', 'source=bound,target=/b'];
    const place = ['--constraint', 'node.hostname==h1', '--replicas', '2'];
    await swarm.create('uses', ...place, ...flags, imageOf(swarm, 'sleeper:1'));
    const [first, second] = await swarm.runs('uses', 2);
    assert.ok(first !== undefined && second !== undefined);
    const root = `/proc/${swarm.pidOf(first)}/root`;
    const tmpfsType = 0x01021994;
    assert.equal(statfsSync(`${root}/q`).type, tmpfsType);
    assert.equal(statSync(`${root}/q`).uid, 7);
    assert.match(readFileSync(`${root}/b/hostname`, 'utf8'), /./);
    // The two share one.
    writeFileSync(`${root}/q/x`, 'shared');
    const other = `/proc/${swarm.pidOf(second)}/root`;
    assert.equal(readFileSync(`${other}/q/x`, 'utf8'), 'shared');
    assert.equal((await mounted()).trim(), '1');
    await host.killDaemon();
    await host.startDaemon();
    await swarm.runs('uses', 2);
    await swarm.cli('service', 'rm', 'uses');
    await until('it is mounted no more', async () => (await mounted()).trim() === '0');
    const bad = ['--mount', 'source=broken,target=/b', '--restart-condition', 'none'];
    await swarm.createDetached('bad', ...place, ...bad, imageOf(swarm, 'sleeper:1'));
    await swarm.untilTasks('the reason is told', 'bad', (tasks) =>
      tasks.some(({ err }) => /failed to mount local volume: .*\/nowhere/.test(err)),
    );
  });

  it('of a plugin are where the plugin is, and nowhere else', async () => {
    const swarm = get();
    const host = swarm.host('h2');
    const folder = `${host.dataRoot}/plugin`;
    const script = join(import.meta.dirname, 'volume-plugin.ts');
    const plugin = await host.start('a volume plugin', [
      process.execPath,
      script,
      '/run/docker/plugins/far.sock',
      folder,
    ]);
    await until('the plugin is known', () => host.cli('info', '-f', '{{.Plugins.Volume}}'), {
      accept: (names) => names === '[local far]\n',
    });
    const made = await host.cli('volume', 'create', '-d', 'far', '-o', 'size=1', 'v1');
    assert.equal(made, 'v1\n');
    const broken = await host.cliResult('volume', 'create', '-d', 'far', '-o', 'fail=now', 'v2');
    assert.match(broken.stderr, /create v2: told to fail: now/);
    const elsewhere = await swarm.manager.cliResult('volume', 'create', '-d', 'far', 'v1');
    const unknown = /create v1: error looking up volume plugin far: plugin "far" not found/;
    assert.match(elsewhere.stderr, unknown);
    const format = '{{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Status.opts}}';
    const inspected = await host.cli('volume', 'inspect', '-f', format, 'v1');
    assert.equal(inspected, `far global ${folder}/v1 {"size":"1"}\n`);

    const mount = 'type=volume,source=v1,target=/v,volume-driver=far';
    const flags = ['--replicas', '2', '--mount', mount];
    await swarm.create('far', ...flags, imageOf(swarm, 'sleeper:1'));
    const tasks = await swarm.runs('far', 2);
    assert.deepEqual(
      tasks.map((task) => task.host),
      ['h2', 'h2'],
    );
    const [first] = tasks;
    assert.ok(first !== undefined);
    writeFileSync(`/proc/${swarm.pidOf(first)}/root/v/file`, 'far away');
    assert.equal(readFileSync(`${folder}/v1/file`, 'utf8'), 'far away');
    const nowhere = ['--replicas', '1', '--mount', mount.replace('=far', '=lost')];
    await swarm.createDetached('lost', ...nowhere, imageOf(swarm, 'sleeper:1'));
    await swarm.untilTasks('the reason is told', 'lost', (all) =>
      all.some(({ err }) => err.includes('missing plugin on 2 nodes')),
    );
    await swarm.clear();
    await until('the plugin hears of the end', () => readFileSync(`${folder}/calls`, 'utf8'), {
      accept: (calls) => calls.split('\n').filter((line) => line.startsWith('Unm')).length === 2,
    });
    await host.cli('volume', 'rm', 'v1');
    const calls = readFileSync(`${folder}/calls`, 'utf8').split('\n');
    assert.deepEqual(
      calls.map((line) => line.split(' ').slice(0, 2).join(' ')),
      [
        'Create v1',
        'Create v2',
        'Mount v1',
        'Mount v1',
        'Unmount v1',
        'Unmount v1',
        'Remove v1',
        '',
      ],
    );
    await plugin.stop();
    await until('the plugin is forgotten', () => host.cli('info', '-f', '{{.Plugins.Volume}}'), {
      accept: (names) => names === '[local]\n',
    });
  });

  it('can be mounted in part', async () => {
    const swarm = get();
    const host = swarm.manager;
    await host.cli('volume', 'create', 'parts');
    const at = (await host.cli('volume', 'inspect', '-f', '{{.Mountpoint}}', 'parts')).trim();
    await host.exec(`mkdir -p ${at}/a/b && echo deep > ${at}/a/b/f && ln -s / ${at}/out`);
    const flags = ['--constraint', 'node.hostname==h1', '--replicas', '1'];
    const mount = 'type=volume,source=parts,target=/p,volume-subpath=a/b';
    await swarm.create('part', ...flags, '--mount', mount, imageOf(swarm, 'sleeper:1'));
    const [task] = await swarm.runs('part', 1);
    assert.ok(task !== undefined);
    assert.equal(readFileSync(`/proc/${swarm.pidOf(task)}/root/p/f`, 'utf8'), 'deep\n');
    await swarm.clear();
    const left = async () =>
      (await host.exec('grep -c volumes/.parts /proc/self/mountinfo || true')).trim();
    await until('nothing is left mounted', async () => (await left()) === '0');
  });

  it('may be images, read-only, for services and for people', async () => {
    const swarm = get();
    const host = swarm.manager;
    const [keeper, sleeper] = [imageOf(swarm, 'keeper:1'), imageOf(swarm, 'sleeper:1')];
    // Debian's is older than parts of images.
    const client = newDocker ?? ownCli;
    await host.cliResult('image', 'rm', '-f', keeper);
    await host.cli('image', 'pull', sleeper);
    const mounts = [
      `--mount=type=image,source=${keeper},target=/whole`,
      `--mount=type=image,source=${keeper},target=/part,image-subpath=srv/data`,
    ];
    const absent = await host.cliResult('container', 'create', ...mounts, '--pull=never', sleeper);
    assert.match(absent.stderr, /No such image: .*keeper:1/);
    await client.run(
      host,
      ...words('service create -d --name reads --replicas 2'),
      ...mounts,
      sleeper,
    );
    const tasks = await swarm.runs('reads', 2);
    const task = tasks.find((one) => one.host === 'h1');
    assert.ok(task !== undefined && tasks.some((one) => one.host === 'h2'));
    const run = await client.run(
      host,
      'container',
      'run',
      '-d',
      '--name',
      'mine',
      ...mounts,
      sleeper,
    );
    // The machine's pid: the daemon knows that of its own namespace.
    const pid = () => host.containers().find(({ id }) => id === run.trim())?.pid;
    for (const root of [swarm.pidOf(task), pid()].map((one) => `/proc/${one}/root`)) {
      assert.equal(readFileSync(`${root}/whole/srv/data/first`, 'utf8'), 'of the image\n');
      assert.equal(readFileSync(`${root}/part/first`, 'utf8'), 'of the image\n');
      assert.throws(() => writeFileSync(`${root}/part/first`, ''), { code: 'EROFS' });
    }
    const shown = '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}};{{end}}';
    const inspected = await client.run(host, 'container', 'inspect', '-f', shown, 'mine');
    assert.equal(inspected.trim(), `image ${keeper} /whole false;image ${keeper} /part false;`);
    const inUse = async () => (await host.cliResult('image', 'rm', keeper)).stderr;
    assert.match(await inUse(), /must force\) - container .* is using its referenced image/);

    await host.killDaemon();
    await host.startDaemon();
    await swarm.runs('reads', 2);
    assert.equal(readFileSync(`/proc/${pid()}/root/part/first`, 'utf8'), 'of the image\n');
    assert.match(await inUse(), /is using its referenced image/);
    await host.cli('container', 'restart', '-t', '0', 'mine');
    assert.equal(readFileSync(`/proc/${pid()}/root/part/first`, 'utf8'), 'of the image\n');
    await host.cli('container', 'rm', '-f', 'mine');
    await swarm.clear();
    const left = async () =>
      (await host.exec('grep -c volumes/.parts /proc/self/mountinfo || true')).trim();
    await until('nothing is left mounted', async () => (await left()) === '0');
    await host.cli('image', 'rm', keeper);
  });
});
