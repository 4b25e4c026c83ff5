/** A task and the device that another one still has. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { silentLogger } from '../../lib/log.ts';
import { NodeDevices } from '../device/index.ts';
import type { Images } from '../image/images.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { testVolumes } from '../volume/testing.ts';
import { TaskRunner } from './task-runner.ts';
import type { AssignedTask } from '../../types/index.ts';
import {
  assignedTask,
  containerId,
  FakeImages,
  FakeNetwork,
  noNetworks,
  taskId,
} from './testing/fakes.ts';

const gpu = (value: string) => ({ named: { kind: 'gpu', value } });

describe('a task with a device', () => {
  let folder: string;
  let runner: TaskRunner;
  let clock: VirtualClock;
  let runtime: FakeRuntime;
  const assign = (...update: AssignedTask[]) =>
    runner.assign({ complete: false, update, remove: [], networks: noNetworks });
  const status = (slot: number) => runner.statuses().get(taskId(slot));
  const state = (slot: number) => status(slot)?.state;
  const turns = async () => {
    for (let count = 0; count < 50; count++) await turn();
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await turn();
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-task-files-'));
    clock = new VirtualClock();
    runtime = new FakeRuntime({ clock });
    const platform = { os: 'linux', architecture: 'amd64' };
    runner = new TaskRunner(
      { dataRoot: join(folder, 'data'), runRoot: join(folder, 'run') },
      {
        images: new FakeImages() as unknown as Images,
        network: new FakeNetwork(),
        volumes: testVolumes({ folder: join(folder, 'volumes'), clock, random: seededRandom(1) }),
        devices: new NodeDevices({ own: [gpu('id1'), gpu('id2')], cdiFolders: [] }, silentLogger),
        runtime,
        node: () => ({ id: 'node1', hostname: 'host1', platform }),
        clock,
        log: silentLogger,
      },
    );
    await runner.start();
  });
  afterEach(async () => {
    await runner[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  it('waits for a device until the container that has it has ended', async () => {
    const task = { task: { genericResources: [gpu('id1')] } };
    runtime.program = () => ({ ignoresSignals: true });
    await assign(assignedTask(1, task));
    await until(() => state(1) === 'running');
    // Before the managers have heard that the first one has stopped, and even while it is wanted.
    await assign(
      assignedTask(2, task),
      assignedTask(3, { task: { genericResources: [gpu('id2')] } }),
    );
    await until(() => state(3) === 'running');
    await until(() => state(2) === 'starting');
    await assign(assignedTask(1, { ...task, desired: 'shutdown' }));
    await turns();
    assert.deepEqual([state(1), state(2)], ['running', 'starting']);
    assert.ok(!runtime.calls.includes(`create ${containerId(2)}`));
    clock.advance(10_000);
    await until(() => state(2) === 'running');
    assert.equal(state(1), 'shutdown');

    await assign(assignedTask(4, task));
    await until(() => state(4) === 'starting');
    clock.advance(25_000);
    await until(() => state(4) === 'failed');
    assert.match(status(4)?.err ?? '', /the device .*id1 is still in use by the task /);
  });
});
