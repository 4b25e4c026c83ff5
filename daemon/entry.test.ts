import { strict as assert } from 'node:assert';
import { VirtualClock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { silentLogger } from '../lib/log.ts';
import { Entry } from './entry.ts';

/** Lets everything that can go on go on. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a manager that enters', () => {
  let clock: VirtualClock;
  let asked: string[];
  let leaderAddr: string | undefined;
  let isMember: boolean;
  let isKnown: boolean;
  let answer: () => Promise<void>;

  const entry = () =>
    new Entry({
      advertiseAddr: 'h3',
      joinThrough: 'h1',
      knownManagers: () => ['h1', 'h2', 'h3'],
      leaderAddr: () => leaderAddr,
      isMember: () => isMember,
      isKnown: () => isKnown,
      join: (through) => {
        asked.push(through);
        return answer();
      },
      clock,
      log: silentLogger,
    });

  /** Until it is over; each timer comes at its time. */
  async function play(work: Promise<void>): Promise<void> {
    const state = { isOver: false };
    const over = work.finally(() => {
      state.isOver = true;
    });
    over.catch(() => undefined);
    await turn();
    while (!state.isOver) {
      const nextMs = clock.nextTimerMs();
      assert.ok(nextMs !== undefined, 'it waits for nothing');
      clock.advance(nextMs - clock.nowMs());
      await turn();
    }
    await over;
  }

  const refused = (code: 'unavailable' | 'permission-denied') => () =>
    Promise.reject(new SwarmError(code, `not now: ${code}`));

  beforeEach(() => {
    clock = new VirtualClock();
    asked = [];
    leaderAddr = undefined;
    isMember = false;
    isKnown = false;
    answer = () => Promise.resolve();
  });

  it('asks the others in turn while no leader is known, and itself never', async () => {
    answer = () => {
      if (asked.length < 4) return refused('unavailable')();
      isMember = true;
      return Promise.resolve();
    };
    await play(entry().enter({ signal: new AbortController().signal }));
    assert.deepEqual(asked, ['h1', 'h2', 'h1', 'h2']);
  });

  it('asks the leader where it is known', async () => {
    leaderAddr = 'h9';
    answer = () => {
      isMember = true;
      return Promise.resolve();
    };
    await play(entry().enter({ signal: new AbortController().signal }));
    assert.deepEqual(asked, ['h9']);
  });

  it('says what does not pass by itself', async () => {
    answer = refused('permission-denied');
    const entering = play(entry().enter({ signal: new AbortController().signal }));
    await assert.rejects(entering, { code: 'permission-denied' });
    assert.deepEqual(asked, ['h1']);
  });

  it('gives up after a minute', async () => {
    answer = refused('unavailable');
    const startMs = clock.nowMs();
    const entering = play(entry().enter({ signal: new AbortController().signal }));
    await assert.rejects(entering, { code: 'unavailable' });
    assert.ok(clock.nowMs() - startMs > 60_000);
  });

  it('goes on until the others know where it is, whatever they say', async () => {
    isMember = true;
    answer = () => {
      if (asked.length === 3) isKnown = true;
      return refused('permission-denied')();
    };
    await play(entry().settle(new AbortController().signal));
    assert.equal(asked.length, 3);
  });

  it('ends when it is told to', async () => {
    const stop = new AbortController();
    answer = () => {
      stop.abort(new SwarmError('cancelled', 'this manager stops'));
      return refused('unavailable')();
    };
    await assert.rejects(play(entry().settle(stop.signal)), { code: 'cancelled' });
    assert.deepEqual(asked, ['h1']);
  });
});
