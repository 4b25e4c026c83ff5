/** The task runner on real containers; only registry and network are not real. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import type { AssignedTask, ContainerSpec } from '../../types/index.ts';
import type { Images } from '../image/images.ts';
import { openContainerd, type OpenedContainerd } from '../runtime/index.ts';
import { collect, text } from '../runtime/runtime.contract.ts';
import { NodeDevices } from '../device/index.ts';
import { openVolumes, type Volumes } from '../volume/index.ts';
import { canRunContainers, makeBusyboxImage } from '../runtime/testing/busybox.ts';
import { TaskRunner } from './task-runner.ts';
import {
  assignedTask,
  containerId,
  FakeImages,
  FakeNetwork,
  noNetworks,
  taskId,
} from './testing/fakes.ts';

const hostNetwork = { networks: [{ target: 'host' }] };
const logs = { follow: false, stdout: true, stderr: true };

describe('task runner on containerd', function () {
  let roots: { dataRoot: string; runRoot: string };
  let images: FakeImages;
  let containerd: OpenedContainerd;
  let volumes: Volumes;
  let runner: TaskRunner;

  const open = async () => {
    containerd = await openContainerd(roots, {
      clock: realClock,
      random: systemRandom,
      log: silentLogger,
    });
    volumes = openVolumes(roots, {
      runtime: containerd.runtime,
      clock: realClock,
      random: systemRandom,
      log: silentLogger,
    });
    runner = new TaskRunner(roots, {
      volumes,
      devices: new NodeDevices({ own: [], cdiFolders: [] }, silentLogger),
      images: images as unknown as Images,
      network: new FakeNetwork(),
      runtime: containerd.runtime,
      node: () => ({
        id: 'node1',
        hostname: 'host1',
        platform: { os: 'linux', architecture: 'amd64' },
      }),
      clock: realClock,
      log: silentLogger,
    });
  };
  const close = async () => {
    await runner[Symbol.asyncDispose]();
    volumes[Symbol.dispose]();
    await containerd[Symbol.asyncDispose]();
  };

  before(async function () {
    if (!canRunContainers()) this.skip();
    const root = mkdtempSync(join(tmpdir(), 'ts-swarm-tasks-'));
    roots = { dataRoot: join(root, 'data'), runRoot: join(root, 'run') };
    images = new FakeImages();
    await open();
    images.rootfs = await makeBusyboxImage(containerd.client, containerd.snapshotter);
    images.config = { env: ['PATH=/bin'] };
    await runner.start();
  });

  after(async () => {
    if (runner === undefined) return;
    await runner.clear();
    await close();
    rmSync(join(roots.dataRoot, '..'), { recursive: true });
  });

  const shell = (slot: number, script: string, more: Partial<ContainerSpec> = {}): AssignedTask =>
    assignedTask(slot, {
      container: { command: ['sh', '-c', script], stopGracePeriodMs: 100, ...more },
      spec: hostNetwork,
    });
  const assign = (...update: AssignedTask[]) =>
    runner.assign({ complete: false, update, remove: [], networks: noNetworks });
  const status = (slot: number) => runner.statuses().get(taskId(slot));
  const reaches = async (slot: number, state: string) => {
    if (status(slot)?.state === state) return;
    const reached = Promise.withResolvers<void>();
    const listening = runner.onStatus((id, { state: now }) => {
      if (id === taskId(slot) && now === state) reached.resolve();
    });
    await reached.promise;
    listening[Symbol.dispose]();
  };

  it('runs, logs, completes and fails', async () => {
    await assign(shell(1, 'echo $NAME; cat /etc/hostname', { env: ['NAME={{.Task.Name}}'] }));
    await assign(shell(2, 'echo no >&2; exit 3'));
    await reaches(1, 'complete');
    await reaches(2, 'failed');
    const { signal } = new AbortController();
    const said = (await collect(runner.logs(taskId(1), logs, { signal }))).map(text);
    assert.deepEqual(said, [`stdout web.1.${taskId(1)}\n`, 'stdout host1\n']);
    assert.equal(status(2)?.err, 'task: non-zero exit (3)');
  });

  it('says when memory ran out, and when there is no such command', async () => {
    const hungry = shell(3, 'a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done');
    const limits = { memoryBytes: 16 * 1024 * 1024 };
    await assign({ ...hungry, spec: { ...hungry.spec, resources: { limits } } });
    await assign(assignedTask(4, { container: { command: ['/nowhere'] }, spec: hostNetwork }));
    await reaches(3, 'failed');
    await reaches(4, 'failed');
    assert.equal(status(3)?.err, 'task: non-zero exit (137): out of memory (OOM killed)');
    assert.match(status(4)?.err ?? '', /^starting container failed: .*\/nowhere/);
  });

  it('waits for health, and stops what is no longer healthy', async () => {
    const healthCheck = { test: ['CMD-SHELL', 'test -e /tmp/ok'], intervalMs: 50, retries: 2 };
    const script =
      'touch /tmp/ok; until test -e /tmp/end; do sleep 0.05; done; busybox rm /tmp/ok; sleep 100';
    await assign(shell(5, script, { healthCheck }));
    await reaches(5, 'running');
    writeFileSync(`/proc/${status(5)!.container!.pid}/root/tmp/end`, '');
    await reaches(5, 'failed');
    assert.equal(status(5)?.err, 'task: non-zero exit (137): unhealthy container');
  });

  it('keeps containers over a restart, and knows what ended meanwhile', async () => {
    await assign(shell(6, 'sleep 100'), shell(7, 'sleep 100'));
    await reaches(6, 'running');
    await reaches(7, 'running');
    const before = status(6)!;
    const { pid } = status(7)!.container!;
    await close();
    process.kill(pid, 'SIGKILL');
    while (isAlive(pid)) await realClock.sleep(5);
    await open();
    await runner.start();
    await reaches(7, 'failed');
    assert.equal(status(7)?.err, 'task: non-zero exit (137)');
    assert.deepEqual(status(6), before);
    await assign({ ...shell(6, 'sleep 100'), desiredState: 'shutdown' });
    await reaches(6, 'shutdown');
    assert.equal(status(6)?.container?.containerId, containerId(6));
  });
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
