import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { LivenessTracker } from './liveness.ts';
import {
  downAfterMs,
  heartbeatPeriodMs,
  ownHeartbeatPeriodMs,
  suspectAfterMs,
  unknownGraceMs,
} from './period.ts';

describe('heartbeat figures', () => {
  const cases = [
    { name: 'a small swarm', nodes: 3, spec: undefined, periodMs: 500, downMs: 3_000 },
    { name: 'up to 250 nodes', nodes: 250, spec: undefined, periodMs: 500, downMs: 3_000 },
    { name: 'a thousand nodes', nodes: 1_000, spec: undefined, periodMs: 2_000, downMs: 8_000 },
    { name: 'ten thousand', nodes: 10_000, spec: undefined, periodMs: 5_000, downMs: 20_000 },
    { name: 'the spec, slower', nodes: 3, spec: 4_000, periodMs: 4_000, downMs: 16_000 },
    {
      name: "Docker's default, which is nobody's wish",
      nodes: 3,
      spec: 5_000,
      periodMs: 500,
      downMs: 3_000,
    },
    { name: 'the spec, quicker', nodes: 3, spec: 100, periodMs: 100, downMs: 600 },
    { name: 'the spec, absurd', nodes: 3, spec: 0.001, periodMs: 50, downMs: 300 },
    {
      name: 'the spec, with a fraction',
      nodes: 3,
      spec: 1_234.000_001,
      periodMs: 1_235,
      downMs: 4_940,
    },
    {
      name: 'the spec, for longer than a day',
      nodes: 3,
      spec: 9e9,
      periodMs: 86_400_000,
      downMs: 345_600_000,
    },
  ];
  for (const { name, nodes, spec, periodMs, downMs } of cases) {
    it(`fit ${name}`, () => {
      assert.equal(heartbeatPeriodMs(nodes, spec), periodMs);
      assert.equal(suspectAfterMs(periodMs), 3 * periodMs);
      assert.equal(downAfterMs(periodMs), downMs);
      assert.ok(unknownGraceMs(periodMs) >= 2 * downMs);
    });
  }
});

describe("the period of a manager's own node", () => {
  for (const { name, periodMs, expect } of [
    { name: 'is longer in a small swarm', periodMs: 500, expect: 2_000 },
    { name: 'is that of all in a large one', periodMs: 5_000, expect: 5_000 },
  ]) {
    it(name, () => assert.equal(ownHeartbeatPeriodMs(periodMs), expect));
  }
});

describe('LivenessTracker', () => {
  const periodMs = 500;
  const setUp = () => {
    const clock = new VirtualClock(0);
    const tracker = new LivenessTracker();
    tracker.expect('n', clock.nowMs(), periodMs);
    /** Looks every 100 ms; returns what happened and when. */
    const watch = (forMs: number) => {
      const seen: string[] = [];
      for (let ms = 0; ms < forMs; ms += 100) {
        clock.advance(100);
        for (const { to } of tracker.check(clock.nowMs())) seen.push(`${to} at ${clock.nowMs()}`);
      }
      return seen;
    };
    return { clock, tracker, watch };
  };

  it('suspects silence at three missed heartbeats, and ends it at six', () => {
    const { tracker, watch } = setUp();
    assert.equal(tracker.heard('n', 0)?.to, 'ready');
    assert.deepEqual(watch(10_000), ['disconnected at 1500', 'down at 3000']);
  });

  it('tells when it may next have something to say', () => {
    const { tracker, watch } = setUp();
    assert.equal(tracker.dueMs, unknownGraceMs(periodMs));
    tracker.heard('n', 200);
    tracker.expectDown('gone', 0, periodMs);
    assert.equal(tracker.dueMs, 1_700);
    watch(2_000);
    assert.equal(tracker.dueMs, 3_200);
    tracker.forget('n');
    assert.equal(tracker.dueMs, Infinity);
  });

  it('waits for a daemon that is away for a moment, and no longer than that', () => {
    const { clock, tracker, watch } = setUp();
    tracker.heard('n', 0);
    tracker.away('n', 0);
    assert.equal(tracker.lost('n', 0), undefined, 'its session ends with it');
    assert.deepEqual(watch(14_900), []);
    assert.equal(tracker.heard('n', clock.nowMs()), undefined, 'nobody has missed it');
    tracker.lost('n', clock.nowMs());
    tracker.away('n', clock.nowMs());
    assert.deepEqual(watch(3_000), ['down at 17900'], 'a suspect does not win time by it');
    tracker.heard('n', clock.nowMs());
    tracker.away('n', clock.nowMs());
    assert.deepEqual(watch(16_000), ['disconnected at 32900', 'down at 33000']);
  });

  it('takes a suspect back at the first word', () => {
    const { clock, tracker, watch } = setUp();
    tracker.heard('n', 0);
    assert.deepEqual(watch(2_900), ['disconnected at 1500']);
    assert.equal(tracker.heard('n', clock.nowMs())?.to, 'ready');
    assert.equal(tracker.heard('n', clock.nowMs()), undefined);
    assert.deepEqual(watch(1_400), []);
  });

  it('suspects at once where a session breaks, and counts the grace from then', () => {
    const { clock, tracker, watch } = setUp();
    tracker.heard('n', 0);
    watch(1_000);
    assert.equal(tracker.lost('n', clock.nowMs())?.to, 'disconnected');
    assert.equal(tracker.lost('n', clock.nowMs()), undefined);
    assert.deepEqual(watch(10_000), ['down at 4000']);
    assert.equal(tracker.lost('n', clock.nowMs()), undefined);
  });

  it('takes a node that has left for down at once, until it is heard of', () => {
    const { tracker, clock } = setUp();
    tracker.heard('n', clock.nowMs());
    assert.equal(tracker.left('n', 'it said so')?.to, 'down');
    assert.equal(tracker.left('n', 'it said so'), undefined);
    assert.equal(tracker.lost('n', clock.nowMs()), undefined);
    assert.equal(tracker.heard('n', clock.nowMs())?.to, 'ready');
    assert.equal(tracker.left('nobody', 'it said so'), undefined);
  });

  it('gives nodes not yet heard of a longer grace', () => {
    const { watch } = setUp();
    assert.deepEqual(watch(30_000), ['down at 12000']);
  });

  it('leaves what is down alone until it is heard of', () => {
    const { clock, tracker, watch } = setUp();
    tracker.expectDown('n', 0, periodMs);
    assert.deepEqual(watch(60_000), []);
    assert.equal(tracker.heard('n', clock.nowMs())?.to, 'ready');
  });

  it('does not judge by a shorter period before the node keeps it', () => {
    const { tracker, watch } = setUp();
    tracker.told('n', 5_000);
    tracker.heard('n', 0);
    tracker.told('n', 500);
    assert.deepEqual(watch(14_000), []);
    tracker.heard('n', 14_000);
    tracker.told('n', 500);
    assert.deepEqual(watch(2_000), ['disconnected at 15500']);
  });

  it("does not take the manager's standstill for the node's silence", () => {
    const { clock, tracker, watch } = setUp();
    tracker.heard('n', 0);
    clock.advance(10_000);
    tracker.stoodStill(clock.nowMs());
    assert.deepEqual(watch(900), []);
    tracker.heard('n', clock.nowMs());
    assert.deepEqual(watch(1_400), []);
  });

  it('judges nodes also on a machine that stands still again and again', () => {
    const { clock, tracker } = setUp();
    tracker.heard('n', 0);
    const seen: string[] = [];
    for (let nowMs = 300; nowMs <= 9_000; nowMs += 300) {
      clock.advance(300);
      tracker.stoodStill(nowMs);
      for (const { to } of tracker.check(nowMs)) seen.push(`${to} at ${nowMs}`);
    }
    assert.deepEqual(seen, ['disconnected at 2400', 'down at 4800']);
  });

  it('gives one that is suspect already no new grace when its session breaks', () => {
    const { tracker, watch } = setUp();
    tracker.heard('n', 0);
    assert.deepEqual(watch(2_000), ['disconnected at 1500']);
    assert.equal(tracker.lost('n', 2_000), undefined);
    assert.deepEqual(watch(1_500), ['down at 3000']);
  });

  it('forgets', () => {
    const { tracker, watch } = setUp();
    tracker.forget('n');
    assert.equal(tracker.heard('n', 0), undefined);
    assert.equal(tracker.size, 0);
    assert.deepEqual(watch(60_000), []);
  });
});
