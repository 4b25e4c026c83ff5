import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { lingerMs, StopGate, takenTimeoutMs } from './stop-gate.ts';

/** What each node has taken in; undefined for one that is not to be waited for. */
function startGate(taken: Record<string, number | undefined>) {
  const clock = new VirtualClock();
  const released: string[] = [];
  const timeouts: string[][] = [];
  const gate = new StopGate({
    clock,
    nodesOf: () => Object.keys(taken),
    taken: (nodeId) => taken[nodeId],
    release: (taskId) => released.push(taskId),
    onTimeout: (taskIds, nodeIds) => timeouts.push([...taskIds, ...nodeIds]),
  });
  return { clock, gate, released, timeouts, taken };
}

describe('StopGate', () => {
  it('waits for every node, and then for what is on its way', () => {
    const { clock, gate, released, timeouts, taken } = startGate({ a: 4, b: 4 });
    gate.hold('t', ['net'], 5);
    gate.check();
    taken['a'] = 5;
    gate.check();
    clock.advance(1_000);
    assert.deepEqual(released, []);
    taken['b'] = 6;
    gate.check();
    clock.advance(lingerMs - 1);
    assert.equal(gate.holds('t'), true);
    clock.advance(1);
    assert.deepEqual(released, ['t']);
    assert.equal(gate.holds('t'), false);
    assert.deepEqual(timeouts, []);
  });

  it('waits for no node longer than the time-out, and names it', () => {
    const { clock, gate, released, timeouts } = startGate({ a: 5, slow: 4, gone: undefined });
    gate.hold('t', ['net'], 5);
    gate.hold('u', ['net'], 5);
    clock.advance(takenTimeoutMs);
    assert.deepEqual(timeouts, [['t', 'u', 'slow']]);
    assert.deepEqual(released, []);
    clock.advance(lingerMs);
    assert.deepEqual(released, ['t', 'u']);
  });

  it('does not wait for a node that goes away meanwhile', () => {
    const { clock, gate, released, taken } = startGate({ a: 5, b: 4 });
    gate.hold('t', ['net'], 5);
    gate.check();
    taken['b'] = undefined;
    gate.check();
    clock.advance(lingerMs);
    assert.deepEqual(released, ['t']);
  });

  it('counts the time of each task for itself', () => {
    const { clock, gate, released } = startGate({ slow: 0 });
    gate.hold('first', ['net'], 1);
    clock.advance(500);
    gate.hold('second', ['net'], 2);
    gate.hold('first', ['net'], 2);
    clock.advance(takenTimeoutMs + lingerMs - 500);
    assert.deepEqual(released, ['first']);
    clock.advance(500);
    assert.deepEqual(released, ['first', 'second']);
    assert.equal(clock.nextTimerMs(), undefined);
  });

  it('forgets what is dropped, and all of it when it is stopped', () => {
    const { clock, gate, released } = startGate({ a: 9 });
    gate.hold('dropped', ['net'], 1);
    gate.hold('stopped', ['net'], 1);
    gate.drop('dropped');
    assert.equal(gate.size, 1);
    gate.stop();
    clock.advance(60_000);
    assert.deepEqual(released, []);
    assert.equal(clock.nextTimerMs(), undefined);
  });
});
