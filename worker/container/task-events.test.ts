import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { taskContainerHexId } from '../runtime/hex-id.ts';
import { containerConfig } from '../runtime/testing/container-config.ts';
import { ContainerEvents } from './events.ts';
import { TaskEvents } from './task-events.ts';
import type { TaskContainer } from './tasks.ts';

const id = 'web.1.t1';
const config = containerConfig({
  id,
  image: { name: 'registry.example/web:1', chainId: 'chain' },
  argv: ['serve'],
  labels: { 'com.docker.swarm.task.id': 't1' },
});
const task = {
  containerId: id,
  task: { spec: { container: { image: 'web:1' } } },
  status: { atMs: 1_000 },
  prepared: { container: config },
} as unknown as TaskContainer;

describe('TaskEvents', () => {
  let clock: VirtualClock;
  let runtime: FakeRuntime;
  let told: string[];

  const telling = (tasks: readonly TaskContainer[] = []) => {
    const events = new ContainerEvents(clock);
    events.listen(({ action, attributes, id: shown }) => {
      const { exitCode, execDuration, image, name, signal } = attributes;
      assert.equal(shown, taskContainerHexId(id));
      assert.equal(attributes['com.docker.swarm.task.id'], 't1');
      const more = [exitCode, execDuration, signal].filter((word) => word !== undefined);
      told.push([action, name, image, ...more].join(' '));
    });
    return new TaskEvents(runtime, { events, tasks: () => tasks, clock });
  };

  beforeEach(() => {
    clock = new VirtualClock();
    runtime = new FakeRuntime({ clock });
    told = [];
  });

  it('tells the life of a container that is stopped', async () => {
    using containers = telling([task]);
    await containers.remove(id);
    await containers.create(config);
    await containers.start(id);
    clock.advance(2_500);
    await containers.stop(id, { signalName: 'SIGTERM', graceMs: 10_000 });
    await containers.remove(id);
    await containers.remove(id);
    assert.deepEqual(told, [
      `create ${id} web:1`,
      `start ${id} web:1`,
      `kill ${id} web:1 15`,
      `die ${id} web:1 143 2`,
      `stop ${id} web:1`,
      `destroy ${id} web:1`,
    ]);
  });

  it('tells what the check of its health finds, and that it had to be killed', async () => {
    runtime.program = () => ({ ignoresSignals: true });
    using containers = telling([task]);
    await containers.create(config);
    await containers.start(id);
    containers.health(id, 'healthy');
    const stopped = containers.stop(id, { signalName: 'SIGTERM', graceMs: 1_000 });
    clock.advance(1_000);
    await stopped;
    containers.health('nosuch', 'healthy');
    assert.deepEqual(told.slice(2), [
      `health_status: healthy ${id} web:1`,
      `kill ${id} web:1 15`,
      `kill ${id} web:1 9`,
      `die ${id} web:1 137 1`,
      `stop ${id} web:1`,
    ]);
  });

  it('tells of one that took more memory than it may', async () => {
    runtime.program = () => ({ exit: { exitCode: 137, oomKilled: true } });
    using containers = telling();
    await containers.create(config);
    await containers.start(id);
    const image = config.image.name;
    assert.deepEqual(told.slice(1), [
      `start ${id} ${image}`,
      `oom ${id} ${image}`,
      `die ${id} ${image} 137 0`,
    ]);
  });

  it('tells the end of one that an earlier daemon has made', async () => {
    await runtime.create(config);
    await runtime.start(id);
    using containers = telling([task]);
    await containers.kill(id, 'SIGKILL');
    await containers.remove(id);
    assert.deepEqual(
      told.map((line) => line.split(' ')[0]),
      ['kill', 'die', 'destroy'],
    );
  });

  it('tells nothing of containers that are no task’s, nor of one that was not made', async () => {
    runtime.program = () => ({ createError: new Error('no') as never });
    using containers = telling();
    await assert.rejects(containers.create(config));
    await containers.remove(id);
    runtime.program = () => ({});
    await runtime.create({ ...config, id: 'other' });
    await runtime.start('other');
    await runtime.kill('other', 'SIGKILL');
    assert.deepEqual(told, []);
  });
});
