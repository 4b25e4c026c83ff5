import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import type { Entry, Ready } from '../core/index.ts';
import { LogError } from '../log/index.ts';
import { Writer, type WriterDisk } from './writer.ts';

/** A disk that does what it is told with each write, when it is told. */
class Disk implements WriterDisk {
  failures = 0;
  readonly waiting: { index: number; end: (error?: Error) => void }[] = [];
  readonly written: number[] = [];

  async write(entries: readonly Entry[], _state: unknown, failures: number): Promise<void> {
    if (failures !== this.failures) throw new LogError('full', 'an earlier write was not kept');
    const index = entries[0]?.index ?? 0;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const end = (error?: Error) => {
      if (error === undefined) resolve();
      else reject(error);
    };
    this.waiting.push({ index, end });
    await promise;
    this.written.push(index);
  }

  installSnapshot(): Promise<void> {
    return Promise.resolve();
  }

  /** Ends all that waits. */
  async end(error?: Error): Promise<void> {
    if (error !== undefined) this.failures += 1;
    for (const { end } of this.waiting.splice(0)) end(error);
    await turn();
  }
}

function ready(number: number, index?: number): Ready {
  const entry = { index: index ?? 0, term: 1, kind: 'normal', data: new Uint8Array(1) } as const;
  const nothing = { messages: [], messagesAfterPersist: [], committed: [], reads: [] };
  return { number, entries: index === undefined ? [] : [entry], ...nothing };
}

const full = new LogError('full', 'no room');
const failed = new LogError('failed', 'broken');

describe('the writer', () => {
  let disk: Disk;
  let writer: Writer;
  let seen: string[];
  const add = (number: number, index?: number) => {
    writer.add({
      ready: ready(number, index),
      state: undefined,
      snapshotData: undefined,
      settle: [],
    });
  };
  beforeEach(() => {
    disk = new Disk();
    seen = [];
    writer = new Writer(disk, {
      onDurable: (number) => seen.push(`durable ${number}`),
      onFull: () => seen.push('full'),
      onRoom: () => seen.push('room'),
      onFailure: (error) => seen.push(`failure ${(error as LogError).code}`),
    });
  });
  const ticks = (count: number) => {
    for (let tick = 0; tick < count; tick++) writer.tick();
  };

  it('tells of what needs no disk at once, but in order', async () => {
    add(1);
    add(2, 1);
    add(3);
    add(4);
    assert.deepEqual(seen, ['durable 1']);
    await turn();
    await disk.end();
    assert.deepEqual(seen, ['durable 1', 'durable 2', 'durable 4']);
  });

  it('writes without waiting for the write before', async () => {
    add(1, 1);
    add(2, 2);
    await turn();
    assert.deepEqual(
      disk.waiting.map(({ index }) => index),
      [1, 2],
    );
  });

  it('tries again from the first that found the disk full, until there is room', async () => {
    add(1, 1);
    add(2, 2);
    await turn();
    await disk.end(full);
    add(3, 3);
    assert.deepEqual(seen, ['full']);
    assert.ok(writer.isFull);
    ticks(10);
    await turn();
    await disk.end(full);
    assert.deepEqual(seen, ['full']);
    ticks(19);
    await turn();
    assert.equal(disk.waiting.length, 0);
    ticks(1);
    await turn();
    add(4, 4);
    await disk.end();
    await disk.end();
    const durable = [1, 2, 3, 4].map((number) => `durable ${number}`);
    assert.deepEqual(seen, ['full', 'room', ...durable]);
    assert.deepEqual(disk.written, [1, 2, 3, 4]);
    assert.ok(!writer.isFull);
  });

  it('tries less and less often, and never gives up', async () => {
    add(1, 1);
    await turn();
    await disk.end(full);
    const attempts: number[] = [];
    for (let tick = 1; tick <= 400; tick++) {
      writer.tick();
      await turn();
      if (disk.waiting.length === 0) continue;
      attempts.push(tick);
      await disk.end(full);
    }
    assert.deepEqual(attempts, [10, 30, 70, 150, 230, 310, 390]);
  });

  it('writes nothing behind one that failed without its knowing', async () => {
    add(1, 1);
    await turn();
    disk.failures += 1;
    add(2, 2);
    disk.waiting.splice(0).forEach(({ end }) => end(full));
    await turn();
    assert.deepEqual(disk.written, []);
    ticks(10);
    await turn();
    await disk.end();
    assert.deepEqual(disk.written, [1, 2]);
  });

  it('writes again at once what came when too much was waiting', async () => {
    add(1, 1);
    await turn();
    const [{ end } = { end: () => {} }] = disk.waiting.splice(0);
    add(2, 2);
    await turn();
    disk.waiting.splice(0).forEach((write) => write.end(new LogError('busy', 'too much')));
    end();
    await turn();
    await disk.end();
    assert.deepEqual(seen, ['durable 1', 'durable 2']);
  });

  it('keeps what needs no disk as one while the disk is full', async () => {
    add(1, 1);
    await turn();
    await disk.end(full);
    for (let number = 2; number < 100; number++) add(number);
    ticks(10);
    await turn();
    await disk.end();
    assert.deepEqual(seen, ['full', 'room', 'durable 1', 'durable 99']);
  });

  it('gives up when the disk fails', async () => {
    add(1, 1);
    await turn();
    await disk.end(failed);
    assert.deepEqual(seen, ['failure failed']);
  });
});
