/** What a daemon finds that was killed before it had written down what it did. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { NodeDevices } from '../device/index.ts';
import type { Images } from '../image/images.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { testVolumes } from '../volume/testing.ts';
import { TaskRunner } from './task-runner.ts';
import { assignedTask, FakeImages, FakeNetwork, noNetworks, taskId } from './testing/fakes.ts';

const turnsMax = 60_000;

describe('after a daemon was killed', () => {
  let folder: string;
  let clock: VirtualClock;
  let runtime: FakeRuntime;
  let runner: TaskRunner;

  const open = async () => {
    runner = new TaskRunner(
      { dataRoot: join(folder, 'data'), runRoot: join(folder, 'run') },
      {
        images: new FakeImages() as unknown as Images,
        network: new FakeNetwork(),
        volumes: testVolumes({ folder: join(folder, 'volumes'), clock, random: seededRandom(1) }),
        devices: new NodeDevices({ own: [], cdiFolders: [] }, silentLogger),
        runtime,
        node: () => ({
          id: 'node1',
          hostname: 'host1',
          platform: { os: 'linux', architecture: 'amd64' },
        }),
        clock,
        log: silentLogger,
      },
    );
    await runner.start();
  };
  const isSoon = async (condition: () => boolean) => {
    for (let turn = 0; turn < turnsMax && !condition(); turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(condition());
  };
  const state = () => runner.statuses().get(taskId(1))?.state;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-killed-'));
    clock = new VirtualClock();
    runtime = new FakeRuntime({ clock });
    await open();
  });
  afterEach(async () => {
    await runner[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  it('a container whose start is written nowhere has its health checked', async () => {
    const healthCheck = { test: ['CMD', 'check'], intervalMs: 1000 };
    const update = [assignedTask(1, { container: { healthCheck } })];
    await runner.assign({ complete: false, update, remove: [], networks: noNetworks });
    const hasStarted = () => runtime.calls.some((call) => call.startsWith('start'));
    await isSoon(hasStarted);
    await runner[Symbol.asyncDispose]();
    const tasks = new DatabaseSync(join(folder, 'data', 'tasks', 'tasks.db'));
    tasks.exec('UPDATE task SET status = NULL, prepared = NULL');
    tasks.close();
    runtime.calls.length = 0;
    await open();
    await isSoon(() => state() === 'starting');
    clock.advance(1000);
    await isSoon(() => state() === 'running');
    assert.ok(!hasStarted(), 'the container was started again');
  });
});
