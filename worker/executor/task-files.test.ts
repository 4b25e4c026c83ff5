/** A task and the secrets that it waits for. */
import { strict as assert } from 'node:assert';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { silentLogger } from '../../lib/log.ts';
import { NodeDevices } from '../device/index.ts';
import type { Images } from '../image/images.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { testVolumes } from '../volume/testing.ts';
import { TaskRunner } from './task-runner.ts';
import { assignedTask, FakeImages, FakeNetwork, noNetworks, taskId } from './testing/fakes.ts';

describe('a task with a secret', () => {
  let folder: string;
  let runner: TaskRunner;
  const states = new EventEmitter();

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-task-files-'));
    const clock = new VirtualClock();
    const platform = { os: 'linux', architecture: 'amd64' };
    runner = new TaskRunner(
      { dataRoot: join(folder, 'data'), runRoot: join(folder, 'run') },
      {
        images: new FakeImages() as unknown as Images,
        network: new FakeNetwork(),
        volumes: testVolumes({ folder: join(folder, 'volumes'), clock, random: seededRandom(1) }),
        devices: new NodeDevices({ own: [], cdiFolders: [] }, silentLogger),
        runtime: new FakeRuntime({ clock }),
        node: () => ({ id: 'node1', hostname: 'host1', platform }),
        clock,
        log: silentLogger,
      },
    );
    runner.onStatus((_, { state }) => states.emit(state));
    await runner.start();
  });
  afterEach(async () => {
    await runner[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  it('waits until the managers tell it, and is rejected where they say that it is gone', async () => {
    const file = { name: 'key', uid: '0', gid: '0', mode: 0o400 };
    const secrets = [{ secretId: 's1', secretName: 'key', file }];
    const none = { complete: false, remove: [], networks: noNetworks };
    const preparing = once(states, 'preparing');
    await runner.assign({ ...none, update: [assignedTask(1, { container: { secrets } })] });
    await preparing;
    const rejected = once(states, 'rejected');
    const files = { complete: true, update: [{ id: 's1' }], remove: [] };
    await runner.assign({ ...none, update: [], files });
    await rejected;
    const err = runner.statuses().get(taskId(1))?.err;
    assert.equal(err, 'the secret key (s1) is there no more');
  });
});
