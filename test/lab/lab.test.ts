/** The lab by itself, without a daemon: it has to be right before anything is tested on it. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { Lab, until } from './index.ts';
import { pathsOf } from './state.ts';
import { inCgroup, signal, withEnvironment } from './processes.ts';

describe('lab', () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.create({ hosts: 2 });
  });
  after(async () => {
    const { id } = lab;
    await lab.close();
    assert.deepEqual(leftovers(id), []);
  });

  it('gives each host its own name, processes, network and root cgroup', async () => {
    const [h1, h2] = lab.hosts;
    assert.ok(h1 && h2);
    assert.equal((await h1.exec('hostname')).trim(), 'h1');
    assert.equal((await h2.exec('hostname')).trim(), 'h2');
    // The host is ready a moment before its first process turns into this.
    const first = await until('tini runs', () => h1.exec('cat /proc/1/cmdline'), {
      accept: (argv) => argv.startsWith('tini'),
    });
    assert.match(first, /sleep/);
    assert.match(await h1.exec('ip -4 -o addr show eth0'), new RegExp(`${h1.address}/24`));
    assert.equal((await h1.exec('ls /run')).trim(), 'lock\nnetns\nts-swarm-lab');
    assert.match(await h1.exec('cat /proc/1/cgroup'), /:\/(init)?\n/);
    assert.equal((await h1.execResult('exit 3')).code, 3);
    await assert.rejects(h1.exec('echo no such luck >&2; exit 3'), /code 3: no such luck/);
    await assert.rejects(h1.exec('sleep 5', { timeoutMs: 100 }), /within 100 ms/);
  });

  it('lets hosts reach each other, and nothing beyond the lab', async () => {
    const [h1, h2] = lab.hosts;
    assert.ok(h1 && h2);
    const log = join(lab.folder, 'httpd.log');
    const argv = ['busybox', 'httpd', '-f', '-p', `${h2.address}:80`, '-h', '/etc'];
    const httpd = await h2.start('httpd', argv, log);
    const get = `curl --silent --show-error --max-time 1 http://${h2.address}/hostname`;
    await until('httpd answers', () => h1.exec(get));
    assert.equal((await h1.execResult('ip route get 192.0.2.1')).code, 2);
    await httpd.stop();
    assert.notEqual((await h1.execResult(get)).code, 0);
  });

  it('cuts and restores a link, and loses packets', async () => {
    const [h1, h2] = lab.hosts;
    assert.ok(h1 && h2);
    const reaches = async () => {
      const { code } = await h1.execResult(['busybox', 'ping', '-c', '1', '-W', '1', h2.address]);
      return code === 0;
    };
    await until('the hosts reach each other', reaches);
    await h2.cutLink();
    assert.ok(!(await reaches()));
    await h2.restoreLink();
    await until('the link is back', reaches);
    await h2.isolateFrom(h1);
    assert.ok(!(await reaches()));
    await h2.isolateFrom();
    await h2.dropPackets(100);
    assert.ok(!(await reaches()));
    await h2.dropPackets(30);
    const report = await h1.execResult([
      'busybox',
      'ping',
      '-i',
      '0.005',
      '-c',
      '200',
      '-W',
      '1',
      h2.address,
    ]);
    const lostPercent = Number(/([\d.]+)% packet loss/.exec(report.stdout)?.[1]);
    // Each way loses 30 %, so a round trip fails in 51 % of cases.
    assert.ok(lostPercent > 30 && lostPercent < 72, `${lostPercent} % lost`);
    await h2.dropPackets(0);
    await until('nothing is lost any more', reaches);
  });

  it('serves pushed images to the hosts, until its registry stops', async () => {
    const [h1] = lab.hosts;
    assert.ok(h1);
    const image = await lab.image('web:1');
    assert.equal(image, `${lab.registry.address}/web:1`);
    assert.deepEqual(await lab.registry.tags('web'), ['1']);
    const target = join(lab.folder, 'copy');
    const copy = ['skopeo', 'copy', '--insecure-policy', '--src-tls-verify=false'];
    await h1.exec([...copy, `docker://${image}`, `dir:${target}`]);
    assert.ok(existsSync(join(target, 'manifest.json')));
    await lab.registry.stop();
    assert.notEqual((await h1.execResult(['skopeo', 'inspect', `docker://${image}`])).code, 0);
    await lab.registry.start();
    assert.deepEqual(await lab.registry.tags('web'), ['1']);
    await assert.rejects(async () => lab.image('nothing:1'), /no recipe for an image 'nothing'/);
  });

  it('kills a host with all its processes, and boots it again with its data', async () => {
    const [h1, h2] = lab.hosts;
    assert.ok(h1 && h2);
    const sleeper = await h1.start('sleeper', ['sh', '-c', 'sleep 1000 & sleep 1000']);
    await h1.exec(['touch', join(h1.dataRoot, 'kept'), join(h1.runRoot, 'lost')]);
    const sleepers = () => h1.processes().filter(({ argv }) => argv.join(' ') === 'sleep 1000');
    await until('both sleep', () => sleepers().length === 2);
    await h1.kill();
    assert.ok(!sleeper.isRunning && !h1.isUp);
    assert.deepEqual(h1.processes(), []);
    await assert.rejects(async () => h1.exec('true'), /h1 is down/);
    await h1.boot();
    assert.ok(existsSync(join(h1.dataRoot, 'kept')));
    assert.ok(!existsSync(join(h1.runRoot, 'lost')));
    await until('it reaches the other', () =>
      h1.exec(['busybox', 'ping', '-c', '1', '-W', '1', h2.address]),
    );
  });
});

describe('a lab whose process ends', () => {
  const script = `
    import { Lab } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const lab = await Lab.create({ hosts: 1, name: 'doomed-' + process.pid });
    console.log(lab.id);
    setInterval(() => {}, 1000);
  `;

  for (const name of ['SIGINT', 'SIGKILL'] as const) {
    it(`by ${name} leaves nothing behind${name === 'SIGKILL' ? ' after the next start' : ''}`, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const id = Number(line.toString());
      assert.notDeepEqual(leftovers(id), []);
      signal(child.pid ?? 0, name);
      await once(child, 'exit');
      if (name === 'SIGKILL') {
        await using _next = await Lab.create({ hosts: 0 });
        // Another process that makes a lab may be the one that removes this, and still be at it.
        await until('nothing is left', () => leftovers(id).length === 0);
      }
      assert.deepEqual(leftovers(id), []);
    });
  }

  it('can be found again when it was detached', async () => {
    const name = `detached-${process.pid}`;
    const lab = await Lab.create({ hosts: 1, name });
    lab.detach();
    await using next = await Lab.create({ hosts: 0 });
    assert.notEqual(next.id, lab.id);
    const again = Lab.attach(name);
    assert.equal((await again?.hosts[0]?.exec('hostname'))?.trim(), 'h1');
    await again?.close();
    assert.equal(Lab.attach(name), undefined);
    assert.deepEqual(leftovers(lab.id), []);
  });
});

/** What there still is of a lab: folders, devices, cgroups, processes. */
function leftovers(id: number): string[] {
  const { run, data, bridge, cgroup } = pathsOf(id);
  const folders = readdirSync('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}${cgroup}`);
  return [
    ...[run, data, ...folders].filter((path) => existsSync(path)),
    ...readdirSync('/sys/class/net').filter(
      (device) => device === bridge || device.startsWith(`${bridge}-`),
    ),
    ...inCgroup(cgroup).map(String),
    ...withEnvironment('TS_SWARM_LAB', String(id)).map(String),
  ];
}
