/** A follower's calls end with the leader that they were sent to. */
import { strict as assert } from 'node:assert';
import { VirtualClock } from '../lib/clock.ts';
import type { Connection } from '../lib/grpc/index.ts';
import { SwarmError } from '../lib/errors.ts';
import { LeaderLink } from './leader-link.ts';

function start() {
  const clock = new VirtualClock();
  const state = { leader: 'a', closed: [] as string[] };
  const link = new LeaderLink({
    leader: () => state.leader,
    addrOf: (id) => (id === 'nowhere' ? undefined : `${id}:2377`),
    connect: (addr) =>
      ({
        addr,
        client: () => ({ addr }),
        [Symbol.dispose]: () => state.closed.push(addr),
      }) as unknown as Connection,
    clock,
  });
  const call = () => {
    link.client({} as never);
    assert.ok(link.signal);
    return link.signal;
  };
  return { state, link, call, clock };
}

describe('leader link', () => {
  for (const [what, next] of [
    ['somebody else leads', 'b'],
    ['nobody leads', ''],
    ['the new leader is nowhere', 'nowhere'],
  ] as const) {
    it(`breaks off what waits for a leader when ${what}`, () => {
      const { state, link, call, clock } = start();
      const signal = call();
      state.leader = next;
      link.changed();
      clock.advance(499);
      assert.ok(!signal.aborted, 'a leader that hands over still answers');
      clock.advance(1);
      assert.ok(signal.aborted);
      const reason = SwarmError.from(signal.reason);
      assert.equal(reason.code, 'unavailable');
      assert.match(reason.message, /lost its leader/);
      assert.deepEqual(state.closed, ['a:2377']);
    });
  }

  it('ends everything at once when it is disposed of', () => {
    const { state, link, call } = start();
    const first = call();
    state.leader = 'b';
    const second = call();
    link[Symbol.dispose]();
    assert.ok(first.aborted && second.aborted);
    assert.deepEqual(state.closed.toSorted(), ['a:2377', 'b:2377']);
  });

  it('leaves calls alone while the leader is the same', () => {
    const { state, link, call } = start();
    const signal = call();
    link.changed();
    assert.equal(call(), signal);
    assert.ok(!signal.aborted);
    assert.deepEqual(state.closed, []);
  });

  it('sends the next call to the new leader, also where nobody told of the change', () => {
    const { state, link, call, clock } = start();
    const signal = call();
    state.leader = 'b';
    const next = call();
    clock.advance(500);
    assert.ok(signal.aborted && !next.aborted);
    state.leader = '';
    assert.throws(() => call(), /does not have a leader/);
    link.changed();
    clock.advance(500);
    assert.ok(next.aborted);
  });

  it("tells of this manager's own trouble where nobody leads for it", () => {
    const parts = {
      addrOf: () => undefined,
      connect: () => assert.fail(),
      clock: new VirtualClock(),
    };
    const link = new LeaderLink({ ...parts, leader: () => '', trouble: () => 'the disk is full' });
    assert.throws(() => link.addr(), { code: 'unavailable', message: 'the disk is full' });
    const well = new LeaderLink({ ...parts, leader: () => '', trouble: () => '' });
    assert.throws(() => well.addr(), { message: /does not have a leader/ });
  });

  it('gives whoever asks between two leaders a moment, and nobody who asks later', async () => {
    const { state, link, clock } = start();
    const isSettled = async () => {
      const settled = { yet: false };
      void link.settled().then(() => (settled.yet = true));
      await new Promise(setImmediate);
      return settled;
    };
    const pass = async (ms: number) => {
      for (let step = 0; step < ms; step += 10) {
        clock.advance(10);
        await new Promise(setImmediate);
      }
    };
    clock.advance(60_000);
    assert.ok((await isSettled()).yet, 'there is a leader');
    state.leader = '';
    link.changed();
    const waiting = await isSettled();
    await pass(500);
    link.changed();
    assert.ok(!waiting.yet);
    state.leader = 'b';
    link.changed();
    await pass(10);
    assert.ok(waiting.yet, 'the next leader is there');

    state.leader = '';
    link.changed();
    const patient = await isSettled();
    await pass(500);
    link.changed();
    await pass(490);
    assert.ok(!patient.yet);
    await pass(20);
    assert.ok(patient.yet, 'a second has passed');
    assert.ok((await isSettled()).yet, 'nobody waits for what does not come');
  });
});
