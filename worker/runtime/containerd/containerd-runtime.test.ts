import { strict as assert } from 'node:assert';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import { OptionsSchema } from '../../../gen/containerd/runc_options_pb.js';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRandom } from '../../../lib/random.ts';
import { collect, runtimeContract, text } from '../runtime.contract.ts';
import type { ContainerConfig, ContainerExit, ImageRootfs } from '../runtime.ts';
import { canRunContainers, makeBusyboxImage } from '../testing/busybox.ts';
import { containerConfig } from '../testing/container-config.ts';
import { firstLine } from '../testing/first-line.ts';
import { isErrorCode } from '../testing/errors.ts';
import { signalProcess } from './held.ts';
import { openContainerd, type OpenedContainerd } from './open.ts';
import { RuntimePaths } from './paths.ts';

const run = promisify(execFile);
const deps = { clock: realClock, random: systemRandom, log: silentLogger };
const query = { follow: false, stdout: true, stderr: true };

describe('containerd runtime', function () {
  let roots: { dataRoot: string; runRoot: string };
  let opened: OpenedContainerd;
  let image: ImageRootfs;

  before(async function () {
    if (!canRunContainers()) this.skip();
    const root = mkdtempSync(join(tmpdir(), 'ts-swarm-runtime-'));
    roots = { dataRoot: join(root, 'data'), runRoot: join(root, 'run') };
    opened = await openContainerd(roots, deps);
    image = await makeBusyboxImage(opened.client, opened.snapshotter);
  });

  after(async () => {
    if (opened === undefined) return;
    for (const { id } of await opened.runtime.list()) await opened.runtime.remove(id);
    await opened[Symbol.asyncDispose]();
    rmSync(join(roots.dataRoot, '..'), { recursive: true });
  });

  runtimeContract('containerd', async () => ({ runtime: opened.runtime, image }));

  const start = async (id: string, script: string, more: Partial<ContainerConfig> = {}) => {
    const { runtime } = opened;
    await runtime.create(containerConfig({ id, image, argv: ['sh', '-c', script], ...more }));
    await runtime.start(id);
  };
  const exitOf = (id: string) =>
    new Promise<ContainerExit>((resolve) => {
      const listening = opened.runtime.onExit((exit) => {
        if (exit.id !== id) return;
        listening[Symbol.dispose]();
        resolve(exit);
      });
    });
  const output = async (id: string, script: string, more: Partial<ContainerConfig> = {}) => {
    const ended = exitOf(id);
    await start(id, script, more);
    await ended;
    const lines = (await collect(opened.runtime.logs(id, query))).map((line) =>
      Buffer.from(line.data).toString(),
    );
    await opened.runtime.remove(id);
    return lines.join('');
  };

  it('runs as the user of the image, with its groups and no capabilities', async () => {
    const said = await output('user', 'id; grep Cap /proc/self/status', { user: 'web' });
    assert.match(said, /^uid=1000\(web\) gid=1000\(web\) groups=(1000\(web\),)?1001\(extra\)/);
    assert.match(said, /CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb/);
  });

  it('filters system calls, also with the program that it learnt', async () => {
    for (const id of ['filter-1', 'filter-2']) {
      const said = await output(id, 'grep Seccomp: /proc/self/status; unshare -U true || echo no');
      assert.match(said, /^Seccomp:\t2$[^]*^no$/m);
    }
  });

  it('says that the kernel killed for want of memory', async () => {
    const ended = exitOf('oom');
    await start('oom', 'a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done', {
      resources: { limits: { memoryBytes: 16 * 1024 * 1024 }, swapBytes: 0 },
    });
    const { exitCode, oomKilled } = await ended;
    assert.deepEqual({ exitCode, oomKilled }, { exitCode: 137, oomKilled: true });
    await opened.runtime.remove('oom');
  });

  it('mounts, limits and names as configured', async () => {
    const said = await output('config', 'hostname; ls /bound; mount | grep /scratch; pwd', {
      hostname: 'named',
      readOnlyRootfs: true,
      workdir: '/tmp',
      mounts: [
        { type: 'bind', source: roots.dataRoot, target: '/bound', readOnly: true },
        { type: 'tmpfs', target: '/scratch', tmpfsOptions: { sizeBytes: 65536 } },
      ],
    });
    assert.match(said, /^named\n[^]*containerd[^]*size=64k[^]*\/tmp\n$/);
  });

  it('joins a network namespace that was pinned after containerd began', async () => {
    const name = `ts-swarm-test-${process.pid}`;
    await run('ip', ['netns', 'add', name]);
    try {
      await run('ip', ['-n', name, 'link', 'add', 'marker0', 'type', 'bridge']);
      const said = await output('network', 'cat /proc/net/dev', {
        network: { kind: 'path', path: `/run/netns/${name}` },
      });
      assert.match(said, /marker0:/);
    } finally {
      await run('ip', ['netns', 'delete', name]);
    }
  });

  it('runs an init that reaps and forwards', async () => {
    const said = await output('init', 'cat /proc/1/cmdline', { init: true });
    assert.match(said, /docker-init/);
  });

  it('leaves nothing of a container that cannot be made', async () => {
    const paths = new RuntimePaths(roots);
    const failing: [string, Partial<ContainerConfig>, RegExp][] = [
      ['no-command', { argv: ['/nowhere'] }, /nowhere/],
      ['no-user', { user: 'nobody' }, /unable to find user nobody: no matching entries in passwd/],
      [
        'no-source',
        { mounts: [{ type: 'bind', source: '/nowhere', target: '/x' }] },
        /bind source path does not exist: \/nowhere/,
      ],
      ['no-image', { image: { name: 'x', chainId: 'nowhere' } }, /nowhere.*(not found|not exist)/],
    ];
    for (const [id, more, message] of failing) {
      await assert.rejects(start(id, 'true', more), message);
      assert.equal(await opened.runtime.inspect(id), undefined);
    }
    assert.deepEqual(readdirSync(paths.containersData), []);
    assert.deepEqual(readdirSync(paths.containersRun), []);
    const keys: string[] = [];
    const { snapshotter, client } = opened;
    for await (const { info } of client.snapshots.list({ snapshotter })) {
      keys.push(...info.map(({ name }) => name));
    }
    assert.deepEqual(keys, ['busybox']);
    assert.deepEqual((await client.containers.list({})).containers, []);
  });

  it('gives a terminal, and keeps standard input open where asked', async () => {
    const said = await output('tty', 'test -t 0 && test -t 1 && echo terminal', { tty: true });
    assert.equal(said, 'terminal\r\n');
    await start('stdin', 'cat; echo over', { openStdin: true });
    await start('no-stdin', 'cat; echo over');
    await firstLine(opened.runtime, 'no-stdin');
    assert.equal((await opened.runtime.inspect('stdin'))?.state, 'running');
    await opened.runtime.remove('stdin');
    await opened.runtime.remove('no-stdin');
  });

  it('writes no log where none is wanted, and says that there is none', async () => {
    const ended = exitOf('silent');
    await start('silent', 'yes | head -c 10000000', {
      log: { driver: 'none', maxSizeBytes: 1, maxFiles: 1 },
    });
    assert.equal((await ended).exitCode, 0);
    await assert.rejects(collect(opened.runtime.logs('silent', query)), /does not support reading/);
    await opened.runtime.remove('silent');
  });

  it('works in a containerd that somebody else runs, apart from others there', async () => {
    const paths = new RuntimePaths(roots);
    const other = join(roots.dataRoot, 'other');
    await using guest = await openContainerd(
      { dataRoot: other, runRoot: join(roots.runRoot, 'g'), address: paths.socket },
      deps,
    );
    const { runtime } = guest;
    await makeBusyboxImage(guest.client, guest.snapshotter);
    await runtime.create(containerConfig({ id: 'guest', image, argv: ['sleep', '100'] }));
    await runtime.start('guest');
    assert.equal(await opened.runtime.inspect('guest'), undefined);
    await runtime.remove('guest');
    rmSync(other, { recursive: true });
  });

  it('cuts a command off at its time, and its output at its length', async () => {
    await start('exec', 'sleep 100');
    const { runtime } = opened;
    const slow = await runtime.exec('exec', { argv: ['sleep', '100'], timeoutMs: 100 });
    assert.deepEqual([slow.timedOut, slow.exitCode], [true, 137]);
    const long = await runtime.exec('exec', {
      argv: ['sh', '-c', 'yes | head -c 100000'],
      timeoutMs: 60_000,
    });
    assert.deepEqual([long.exitCode, long.output.length], [0, 4096]);
    const none = await runtime.exec('exec', { argv: ['nowhere'], timeoutMs: 60_000 });
    assert.deepEqual([none.exitCode, /nowhere/.test(none.output)], [126, true]);
    await runtime.remove('exec');
    await assert.rejects(
      runtime.exec('exec', { argv: ['true'], timeoutMs: 1 }),
      isErrorCode('not-found'),
    );
  });

  it('slows down who writes without end, rotates, and loses no line of it', async () => {
    const count = 40_000;
    const ended = exitOf('chatty');
    await start('chatty', `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo $i; done`, {
      log: { driver: 'json-file', maxSizeBytes: 2 * 1024 * 1024, maxFiles: 2 },
    });
    await ended;
    const lines = (await collect(opened.runtime.logs('chatty', query))).map(text);
    assert.equal(lines.length, count);
    assert.equal(lines.at(-1), `stdout ${count}\n`);
    await opened.runtime.remove('chatty');
  });

  it('adopts what ran on, ended or was written while no daemon was there', async () => {
    const script = 'trap "echo bye; exit 7" USR1; echo up; while :; do sleep 0.05; done';
    await start('stays', script, { labels: { kept: 'yes' } });
    await start('ends', script);
    for (const id of ['stays', 'ends']) {
      await firstLine(opened.runtime, id);
    }
    const before = await opened.runtime.inspect('stays');
    const ends = await opened.runtime.inspect('ends');
    await opened[Symbol.asyncDispose]();
    process.kill(ends!.pid, 'SIGUSR1');
    while (isRunning(ends!.pid)) await realClock.sleep(10);

    opened = await openContainerd(roots, deps);
    const exit = await exitOf('ends');
    assert.equal(exit.exitCode, 7);
    assert.deepEqual(await opened.runtime.inspect('stays'), before);
    const stopped = exitOf('stays');
    process.kill(before!.pid, 'SIGUSR1');
    assert.equal((await stopped).exitCode, 7);
    const lines = await collect(opened.runtime.logs('stays', query));
    assert.deepEqual(lines.map(text), ['stdout up\n', 'stdout bye\n']);
    await opened.runtime.remove('stays');
    await opened.runtime.remove('ends');
  });

  it('adopts containerd and containers of a daemon that was killed, and the log goes on', async () => {
    await opened[Symbol.asyncDispose]();
    const script = join(import.meta.dirname, '../testing/abandoned-daemon.ts');
    const child = spawn(process.execPath, [script, roots.dataRoot, roots.runRoot], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const { pidFile } = new RuntimePaths(roots);
    const pid = readFileSync(pidFile, 'utf8');
    child.kill('SIGKILL');
    await once(child, 'exit');

    opened = await openContainerd(roots, deps);
    assert.equal(readFileSync(pidFile, 'utf8'), pid);
    const { runtime } = opened;
    assert.equal((await runtime.inspect('counts'))?.state, 'running');
    await runtime.stop('counts', { signalName: 'SIGKILL', graceMs: 0 });
    const numbers = (await collect(runtime.logs('counts', query))).map((line) =>
      Number(Buffer.from(line.data).toString()),
    );
    assert.ok(numbers.length > 5);
    // The kill may have torn the one line that the daemon had in hand.
    const gaps = numbers.filter((number, index) => index > 0 && number !== numbers[index - 1]! + 1);
    assert.ok(gaps.length <= 1, gaps.join());
    await runtime.remove('counts');
  });

  it('starts containerd again when it dies, and knows what ended meanwhile', async () => {
    await start('survivor', 'echo up; sleep 100');
    await start('victim', 'sleep 100');
    const pidFile = new RuntimePaths(roots).pidFile;
    const pid = Number(readFileSync(pidFile, 'utf8'));
    const victim = await opened.runtime.inspect('victim');
    const ended = exitOf('victim');
    process.kill(pid, 'SIGKILL');
    process.kill(victim!.pid, 'SIGKILL');
    assert.equal((await ended).exitCode, 137);
    assert.notEqual(Number(readFileSync(pidFile, 'utf8')), pid);
    assert.equal((await opened.runtime.inspect('survivor'))?.state, 'running');
    const done = await opened.runtime.exec('survivor', { argv: ['true'], timeoutMs: 60_000 });
    assert.equal(done.exitCode, 0);
    await opened.runtime.remove('survivor');
    await opened.runtime.remove('victim');
  });

  it('shares shims between containers', async () => {
    const ids = Array.from({ length: 6 }, (_, index) => `group-${index}`);
    await Promise.all(ids.map((id) => start(id, 'sleep 100')));
    const { stdout } = await run('pgrep', ['-fc', `shim-runc-v2 .*${roots.runRoot}/`]);
    assert.equal(Number(stdout), 1);
    const said = ids.map((id) => readFileSync(new RuntimePaths(roots).shimSaid(id), 'utf8'));
    assert.match(said[0] ?? '', /^unix:.*\n$/);
    assert.equal(new Set(said).size, 1, 'later ones were told of the shim of the first');
    await Promise.all(ids.map((id) => opened.runtime.remove(id)));
    assert.deepEqual(await opened.runtime.list(), []);
  });

  it('is found running by a daemon that did not start it, and created before', async () => {
    await start('started', 'sleep 100');
    await opened.runtime.create(containerConfig({ id: 'held', image, argv: ['sleep', '100'] }));
    await opened[Symbol.asyncDispose]();
    opened = await openContainerd(roots, deps);
    assert.equal((await opened.runtime.inspect('started'))?.state, 'running');
    assert.equal((await opened.runtime.inspect('held'))?.state, 'created');
    await opened.runtime.start('held');
    const done = await opened.runtime.exec('held', { argv: ['true'], timeoutMs: 60_000 });
    assert.equal(done.exitCode, 0);
    await opened.runtime.remove('started');
    await opened.runtime.remove('held');
  });

  it('tells of an exit also when it cannot be written', async () => {
    await start('unwritten', 'sleep 100');
    const ended = exitOf('unwritten');
    rmSync(new RuntimePaths(roots).data('unwritten'), { recursive: true });
    await opened.runtime.kill('unwritten', 'SIGKILL');
    assert.equal((await ended).exitCode, 137);
    await opened.runtime.remove('unwritten');
  });

  it('starts another shim when one has died', async () => {
    await start('before', 'sleep 100');
    const ended = exitOf('before');
    const { stdout } = await run('pgrep', ['-f', `shim-runc-v2 .*${roots.runRoot}/`]);
    process.kill(Number(stdout), 'SIGKILL');
    await start('after', 'sleep 100');
    assert.equal((await opened.runtime.inspect('after'))?.state, 'running');
    assert.equal((await ended).exitCode, 137);
    await opened.runtime.remove('before');
    await opened.runtime.remove('after');
  });

  it('lets no container write to the program that starts others', async () => {
    const program = join(new RuntimePaths(roots).programs, opened.runtime.info().ociRuntime);
    assert.throws(() => accessSync(program, constants.W_OK), { code: 'EROFS' });
    await start('calls', 'sleep 100');
    const { container } = await opened.client.containers.get({ id: 'calls' });
    const options = fromBinary(OptionsSchema, container?.runtime?.options?.value ?? Buffer.of());
    assert.equal(options.binaryName, program);
    await opened.runtime.remove('calls');
  });

  it('signals no process but the container’s', async () => {
    const cgroupsPath = new RuntimePaths(roots).cgroup('signalled');
    await start('signalled', 'sleep 100');
    const { pid = 0 } = (await opened.runtime.inspect('signalled')) ?? {};
    assert.equal(await signalProcess({ pid, cgroupsPath }, 0), true);
    assert.equal(await signalProcess({ pid: process.pid, cgroupsPath }, 9), false);
    assert.equal(await signalProcess({ pid: 0, cgroupsPath }, 9), false);
    await opened.runtime.remove('signalled');
    assert.equal(await signalProcess({ pid, cgroupsPath }, 9), false);
  });
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
