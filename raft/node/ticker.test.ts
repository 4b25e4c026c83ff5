import { strict as assert } from 'node:assert';
import { Ticker } from './ticker.ts';

describe('the ticker', () => {
  it('ticks at its own pace, seldom, or not at all', () => {
    const running = new Set<number>();
    let ticks = 0;
    let tick = () => assert.fail('there is a timer from the beginning');
    const ports = {
      everyMs: (periodMs: number, callback: () => void) => {
        running.add(periodMs);
        tick = callback as typeof tick;
        return () => running.delete(periodMs);
      },
      monotonicMs: () => 0,
    };
    const ticker = new Ticker(50, ports, () => (ticks += 1));
    assert.deepEqual([...running], [50]);
    ticker.pace(false);
    assert.deepEqual([...running], [50]);
    ticker.pace(true);
    ticker.pace(true);
    assert.deepEqual([...running], [1_000]);
    tick();
    assert.equal(ticks, 1);
    assert.equal(ticker.stoodStill, false);
    assert.equal(ticker.next(), 'early');
    ticker.pace(false);
    assert.deepEqual([...running], [50]);
    ticker.stop();
    ticker.pace(true);
    assert.deepEqual([...running], []);
  });
});
