import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { Semaphore } from '../../lib/concurrency.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { initialHealth } from '../task/index.ts';
import { HealthMonitor } from './health-monitor.ts';

const check = {
  argv: ['check'],
  intervalMs: 5_000,
  timeoutMs: 60_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
};

describe('health checks', () => {
  let clock: VirtualClock;
  let begun: string[];
  let monitors: HealthMonitor[];

  const watch = (containerId: string, probes: Semaphore) => {
    const exec = (id: string) => {
      begun.push(id);
      const passed = { exitCode: 0, output: '', timedOut: false };
      return id === 'hangs' ? new Promise<typeof passed>(() => {}) : Promise.resolve(passed);
    };
    const runtime = { exec } as Partial<Runtime> as Runtime;
    const monitor = new HealthMonitor(
      { containerId, check, initial: initialHealth(clock.nowMs()), onChange: () => {} },
      { clock, log: silentLogger, runtime, probes },
    );
    monitors.push(monitor);
    return monitor;
  };
  const settled = async () => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  beforeEach(() => {
    clock = new VirtualClock();
    begun = [];
    monitors = [];
  });
  afterEach(() => monitors.forEach((monitor) => monitor.stop()));

  it('of a container that hangs do not hold up those of others', async () => {
    const probes = new Semaphore(1);
    watch('hangs', probes);
    const web = watch('web', probes);
    clock.advance(5_000);
    await settled();
    assert.deepEqual(begun, ['hangs']);
    clock.advance(1_000);
    await settled();
    assert.deepEqual(begun, ['hangs', 'web']);
    assert.equal(web.health, 'healthy');
  });

  it('run one after another where they are quick, without waiting', async () => {
    const probes = new Semaphore(1);
    const all = ['a', 'b', 'c'].map((id) => watch(id, probes));
    clock.advance(5_000);
    await settled();
    assert.deepEqual(begun, ['a', 'b', 'c']);
    assert.deepEqual(new Set(all.map(({ health }) => health)), new Set(['healthy']));
  });

  it('ask nothing of a container that is paused, and go on afterwards', async () => {
    const quick = { ...check, intervalMs: 1_000, startIntervalMs: 1_000, retries: 1 };
    const passed = { exitCode: 0, output: '', timedOut: false };
    const failed = { ...passed, exitCode: 1 };
    let answer: Promise<typeof passed> = Promise.resolve(passed);
    const exec = (id: string) => {
      begun.push(id);
      return answer;
    };
    const told: string[] = [];
    const monitor = new HealthMonitor(
      {
        containerId: 'a',
        check: quick,
        initial: initialHealth(clock.nowMs()),
        onChange: (health) => void told.push(health),
      },
      {
        clock,
        runtime: { exec } as Partial<Runtime> as Runtime,
        log: silentLogger,
        probes: new Semaphore(1),
      },
    );
    monitors.push(monitor);
    const pass = async () => {
      clock.advance(1_000);
      await settled();
    };
    await pass();
    assert.deepEqual([begun.length, told], [1, ['healthy']]);

    // What is under way says nothing of a container that was paused meanwhile.
    const slow = Promise.withResolvers<typeof passed>();
    answer = slow.promise;
    await pass();
    monitor.pause();
    slow.resolve(failed);
    await pass();
    assert.deepEqual([begun.length, told], [2, ['healthy']]);

    answer = Promise.resolve(failed);
    monitor.resume();
    await pass();
    assert.deepEqual([begun.length, told], [3, ['healthy', 'unhealthy']]);
    monitor.stop();
    monitor.resume();
    await pass();
    assert.equal(begun.length, 3);
  });
});
