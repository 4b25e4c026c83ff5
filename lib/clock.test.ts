import { strict as assert } from 'node:assert';
import { atMost, VirtualClock } from './clock.ts';

describe('waiting for at most a while', () => {
  it('ends with the work, and leaves no timer', async () => {
    const clock = new VirtualClock();
    await atMost(clock, 10_000, Promise.resolve());
    assert.equal(clock.nextTimerMs(), undefined);
  });

  it('ends without the work', async () => {
    const clock = new VirtualClock();
    const waited = atMost(clock, 10_000, new Promise(() => {}));
    clock.advance(10_000);
    await waited;
  });

  it('fails as the work does, and leaves no timer', async () => {
    const clock = new VirtualClock();
    await assert.rejects(atMost(clock, 10_000, Promise.reject(new Error('no'))), /^Error: no$/);
    assert.equal(clock.nextTimerMs(), undefined);
  });
});
