import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { AuditSchedule } from './audit-schedule.ts';

/** Lets everything that can go on go on. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the schedule of audits', () => {
  let clock: VirtualClock;
  let atMs: number[];
  let audit: () => Promise<void>;
  let schedule: AuditSchedule;

  async function pass(ms: number): Promise<void> {
    clock.advance(ms);
    await turn();
  }

  beforeEach(() => {
    clock = new VirtualClock(0);
    atMs = [];
    audit = () => Promise.resolve();
    const deps = { clock, log: silentLogger };
    schedule = new AuditSchedule(() => {
      atMs.push(clock.nowMs());
      return audit();
    }, deps);
  });

  it('begins with nothing, and not before its start', async () => {
    schedule.afterChange();
    await pass(60_000);
    schedule.start();
    await pass(60_000);
    assert.deepEqual(atMs, []);
  });

  it('audits at once, then every five seconds', async () => {
    schedule.start();
    schedule.now();
    for (let second = 0; second < 11; second++) await pass(1_000);
    assert.deepEqual(atMs.length, 3);
    assert.deepEqual(atMs, [0, 6_000, 11_000]);
  });

  it('is not put off by changes without end', async () => {
    schedule.start();
    for (let tenth = 0; tenth < 25; tenth++) {
      schedule.afterChange();
      await pass(100);
    }
    assert.deepEqual(atMs, [1_000, 2_000]);
  });

  it('goes on after an audit that failed', async () => {
    schedule.start();
    audit = () => Promise.reject(new Error('no kernel today'));
    schedule.now();
    await pass(0);
    await pass(5_000);
    assert.deepEqual(atMs, [0, 5_000]);
  });

  it('stops when the audit that goes on has ended', async () => {
    schedule.start();
    const { promise, resolve } = Promise.withResolvers<void>();
    audit = () => promise;
    schedule.now();
    await pass(0);
    let isOver = false;
    const stopped = schedule.stop().then(() => {
      isOver = true;
    });
    await turn();
    assert.equal(isOver, false);
    resolve();
    await stopped;
    await pass(60_000);
    assert.deepEqual(atMs, [0]);
  });
});
