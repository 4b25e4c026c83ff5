import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import type { NodeStatus, TaskStatus } from '../../types/index.ts';
import type { Change } from '../store/change.ts';
import { StatusWriter } from './status-writer.ts';

const status = (message: string): TaskStatus => ({ state: 'running', atMs: 0, message });

const nodeStatus = (message: string): NodeStatus => {
  return { state: 'ready', message, addr: '', atMs: 0 };
};

describe('StatusWriter', () => {
  const setUp = () => {
    const clock = new VirtualClock();
    const proposals: { changes: readonly Change[]; settle: PromiseWithResolvers<void> }[] = [];
    const propose = (changes: readonly Change[]) => {
      const settle = Promise.withResolvers<void>();
      proposals.push({ changes, settle });
      return settle.promise;
    };
    const writer = new StatusWriter({ propose, clock, log: silentLogger });
    const messages = (index: number) =>
      proposals[index]?.changes.map((change) =>
        'status' in change ? change.status?.message : undefined,
      );
    return { clock, proposals, writer, messages };
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('gathers statuses into one proposal, the last of a task wins', async () => {
    const { clock, proposals, writer, messages } = setUp();
    const done = [
      writer.tasks(new Map([['a', status('1')]])),
      writer.tasks(
        new Map([
          ['a', status('2')],
          ['b', status('3')],
        ]),
      ),
    ];
    assert.equal(proposals.length, 0);
    clock.advance(5);
    assert.deepEqual(messages(0), ['2', '3']);
    proposals[0]?.settle.resolve();
    await Promise.all(done);
  });

  it('resolves when it is durable, and writes what came meanwhile afterwards', async () => {
    const { clock, proposals, writer, messages } = setUp();
    let first = false;
    const one = writer.tasks(new Map([['a', status('1')]])).then(() => (first = true));
    clock.advance(5);
    const two = writer.tasks(new Map([['a', status('2')]]));
    clock.advance(1_000);
    await settled();
    assert.equal(first, false);
    assert.equal(proposals.length, 1);
    proposals[0]?.settle.resolve();
    await one;
    await settled();
    clock.advance(5);
    assert.deepEqual(messages(1), ['2']);
    proposals[1]?.settle.resolve();
    await two;
  });

  it('tries again where the log refuses', async () => {
    const { clock, proposals, writer, messages } = setUp();
    const done = writer.tasks(new Map([['a', status('1')]]));
    clock.advance(5);
    proposals[0]?.settle.reject(new SwarmError('resource-exhausted', 'busy'));
    await settled();
    clock.advance(100);
    assert.deepEqual(messages(1), ['1']);
    proposals[1]?.settle.resolve();
    await done;
  });

  it('splits what is too much for one proposal', async () => {
    const { clock, proposals, writer } = setUp();
    const many = Array.from({ length: 4_500 }, (_, i) => [`t${i}`, status('')] as const);
    const done = writer.tasks(new Map(many));
    for (const expected of [2_000, 2_000, 500]) {
      clock.advance(5);
      assert.equal(proposals.at(-1)?.changes.length, expected);
      proposals.at(-1)?.settle.resolve();
      await settled();
    }
    await done;
  });

  it('splits what the log would refuse for its size', async () => {
    const { clock, proposals, writer } = setUp();
    const long = status('x'.repeat(64 * 1024));
    const many = Array.from({ length: 200 }, (_, i) => [`t${i}`, long] as const);
    const done = Promise.all([
      writer.tasks(new Map(many)),
      ...many.slice(0, 100).map(([id]) => writer.node(id, { status: nodeStatus(long.message) })),
    ]);
    let count = 0;
    while (count < 300) {
      clock.advance(5);
      const changes = proposals.at(-1)?.changes ?? [];
      assert.ok(JSON.stringify(changes).length < 5 * 1024 * 1024, `${changes.length} changes`);
      assert.ok(changes.length > 0);
      count += changes.length;
      proposals.at(-1)?.settle.resolve();
      await settled();
    }
    await done;
    assert.equal(proposals.length, 5);
  });

  it('rejects those who wait when it is stopped', async () => {
    const { clock, writer } = setUp();
    const waiting = [writer.tasks(new Map([['a', status('1')]])), writer.node('n', {})];
    clock.advance(5);
    writer.stop();
    for (const wait of waiting) await assert.rejects(wait, { code: 'unavailable' });
    await assert.rejects(writer.node('n', {}), { code: 'unavailable' });
  });
});
