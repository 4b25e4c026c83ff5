import { strict as assert } from 'node:assert';
import { Log, type LogEntry } from './log.ts';
import { MemoryDisk } from './memory-disk.ts';
import { segmentHeaderBytes } from './record.ts';

const folder = '/log';
const segmentBytes = 4096;
const first = '/log/0000000000000001.wal';

async function open(disk: MemoryDisk): Promise<Log> {
  const log = await Log.open({ folder, disk, segmentBytes });
  await settled();
  return log;
}

/** The next segment is made ready in the background; where operations count, it has to be done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
}

function entry(index: number, text = `entry ${index}`, term = 1): LogEntry {
  return { index, term, type: 0, data: Buffer.from(text) };
}

async function texts(log: Log): Promise<string[]> {
  const all: string[] = [];
  for (let from = log.firstIndex; from <= log.durableIndex;) {
    const entries = await log.read(from, log.durableIndex);
    all.push(...entries.map(({ index, data }) => `${index} ${Buffer.from(data).toString()}`));
    from += entries.length;
  }
  return all;
}

/** As a power failure would leave it. */
const lose = (disk: MemoryDisk) => disk.crash('lose', () => 0);

describe('Log', () => {
  it('keeps entries and state over restarts', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    assert.equal(log.lastIndex, 0);
    await log.append([entry(1), entry(2)], Buffer.from('vote'));
    await log.append([{ index: 3, term: 7, type: 9, data: new Uint8Array() }]);
    await log.close();
    const again = await open(lose(disk));
    assert.deepEqual(await texts(again), ['1 entry 1', '2 entry 2', '3 ']);
    assert.equal(Buffer.from(again.state ?? []).toString(), 'vote');
    assert.equal(again.termOf(3), 7);
    assert.equal((await again.read(3, 3))[0]?.type, 9);
    assert.equal(again.cut, undefined);
  });

  it('shares one sync among the appends that wait', async () => {
    const disk = new MemoryDisk();
    const log = await Log.open({ folder, disk, segmentBytes: 1 << 16 });
    await settled();
    const before = 1_000_000;
    disk.operationsLeft = before;
    await Promise.all(Array.from({ length: 100 }, (_, i) => log.append([entry(i + 1)])));
    assert.equal(before - disk.operationsLeft, 2, 'one write and one sync');
    await log.close();
  });

  it('overrides a suffix by an entry of a lower index', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1), entry(2), entry(3), entry(4)]);
    await log.append([entry(2, 'other', 2)]);
    assert.equal(log.lastIndex, 2);
    for (const copy of [log, await open(lose(disk))]) {
      assert.deepEqual(await texts(copy), ['1 entry 1', '2 other']);
      assert.equal(copy.termOf(2), 2);
      assert.equal(copy.termOf(3), undefined);
    }
    await assert.rejects(log.append([entry(4)]), /entry 4 cannot follow entry 2/);
  });

  it('goes on in new segments, drops old ones, and carries the state along', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.saveState(Buffer.from('state'));
    for (let index = 1; index <= 100; index++) {
      await log.append([entry(index, String(index).repeat(100))]);
    }
    const before = (await disk.list(folder)).length;
    assert.ok(before > 5, `${before} files`);
    await log.compact(60);
    assert.ok(log.firstIndex > 30 && log.firstIndex <= 61, `first is ${log.firstIndex}`);
    assert.ok((await disk.list(folder)).length < before);
    const { firstIndex } = log;
    await log.compact(30);
    assert.equal(log.firstIndex, firstIndex);
    const again = await open(lose(disk));
    assert.equal(again.firstIndex, firstIndex);
    assert.equal(again.lastIndex, 100);
    assert.equal(Buffer.from(again.state ?? []).toString(), 'state');
    assert.equal((await texts(again)).length, 100 - firstIndex + 1);
    await assert.rejects(log.read(1, 2), RangeError);
  });

  it('takes a record that is larger than a segment', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1), entry(2, 'x'.repeat(3 * segmentBytes)), entry(3)]);
    const all = await texts(await open(lose(disk)));
    assert.deepEqual(
      all.map((text) => text.length),
      [9, 2 + 3 * segmentBytes, 9],
    );
    const large = entry(4, 'x'.repeat(33 << 20));
    await assert.rejects(log.append([large]), { code: 'too-large' });
    await log.append([entry(4)]);
  });

  it('starts anew behind a snapshot that is ahead of it', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1), entry(2)]);
    await log.restart(1000);
    await log.append([entry(1001)]);
    for (const copy of [log, await open(lose(disk))]) {
      assert.equal(copy.firstIndex, 1001);
      assert.deepEqual(await texts(copy), ['1001 entry 1001']);
    }
  });

  it('is opened by one at a time', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await assert.rejects(open(disk), { code: 'locked' });
    await log.close();
    await (await open(disk)).close();
    await assert.rejects(log.append([entry(1)]), { code: 'closed' });
  });

  it('refuses more than may wait', async () => {
    const disk = new MemoryDisk();
    const log = await Log.open({ folder, disk, segmentBytes, pendingBytes: 90 });
    const one = log.append([entry(1)]);
    await assert.rejects(log.append([entry(2)]), { code: 'busy' });
    await one;
    await log.append([entry(2)]);
  });
});

describe('Log on a disk that fails', () => {
  it('rejects what does not fit on a full disk, and goes on when there is room', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1)]);
    await settled();
    disk.capacityBytes = 2 * segmentBytes;
    const large = 'x'.repeat(segmentBytes / 2);
    await log.append([entry(2, large), entry(3, large)]);
    const results = await Promise.allSettled([
      log.append([entry(4, large)]),
      log.append([entry(5, large)]),
    ]);
    for (const result of results) {
      assert.ok(result.status === 'rejected');
      assert.equal((result.reason as { code: string }).code, 'full');
    }
    assert.equal(log.lastIndex, 3);
    disk.capacityBytes = Infinity;
    await log.append([entry(4, 'again')]);
    const again = await open(lose(disk));
    assert.equal((await texts(again)).at(-1), '4 again');
  });

  it('holds no room on a full disk that it cannot use, and can be closed', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await settled();
    disk.capacityBytes = 2.5 * segmentBytes;
    const large = 'x'.repeat(segmentBytes / 3);
    let last = 0;
    await assert.rejects(
      async () => {
        for (;;) await log.append([entry(++last, large)]);
      },
      { code: 'full' },
    );
    await settled();
    const names = await disk.list(folder);
    assert.deepEqual(
      names.filter((name) => name.endsWith('.tmp')),
      [],
    );
    await log.close();
    const again = await open(disk);
    assert.equal(again.lastIndex, last - 1);
    await again.close();
  });

  it('leaves nothing of a write that failed half-way among later records', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1)]);
    disk.failNext('write', 'ENOSPC');
    await assert.rejects(log.append([entry(2, 'y'.repeat(2000))]), { code: 'full' });
    await log.append([entry(2, 'short')]);
    const again = await open(disk.crash('keep', () => 0));
    assert.deepEqual(await texts(again), ['1 entry 1', '2 short']);
    assert.equal(again.cut, undefined);
  });

  it('takes no more after a failed sync, and does not believe the cache after it', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1)]);
    disk.failNext('sync', 'EIO');
    await assert.rejects(log.append([entry(2)]), { code: 'failed' });
    await assert.rejects(log.append([entry(2)]), { code: 'failed' });
    assert.equal(log.durableIndex, 1);
    await log.close();
    // The process restarts: the cache still shows entry 2. Once opened, it is durable in truth.
    const killed = disk.crash('keep', () => 0);
    const again = await open(killed);
    const shown = await texts(again);
    assert.deepEqual(shown, ['1 entry 1', '2 entry 2']);
    assert.deepEqual(await texts(await open(lose(killed))), shown);
  });

  it('takes no more after a write error of the disk', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    disk.failNext('write', 'EIO');
    await assert.rejects(log.append([entry(1)]), { code: 'failed', message: /EIO/ });
    await assert.rejects(log.compact(1), { code: 'failed' });
    await log.close();
  });
});

describe('Log on damaged files', () => {
  async function written(): Promise<MemoryDisk> {
    const disk = new MemoryDisk();
    const log = await open(disk);
    for (let index = 1; index <= 40; index++) await log.append([entry(index, 'z'.repeat(300))]);
    return lose(disk);
  }

  it('refuses a changed byte in the middle, and names file and byte', async () => {
    const disk = await written();
    const offset = segmentHeaderBytes + 1000;
    disk.bytesOf(first)[offset]! ^= 1;
    await assert.rejects(open(disk), (error: Error & { path: string; offset: number }) => {
      assert.match(error.message, /^\/log\/0000000000000001\.wal is damaged at byte \d+: /);
      assert.equal(error.path, first);
      assert.ok(error.offset <= offset && error.offset > offset - 400);
      return true;
    });
  });

  it('refuses a header that changed, a lost segment, and one under another name', async () => {
    const changed = await written();
    changed.bytesOf(first)[20]! ^= 1;
    await assert.rejects(open(changed), { code: 'corrupt', offset: 0 });
    const lost = await written();
    await lost.unlink('/log/0000000000000002.wal');
    await assert.rejects(open(lost), { code: 'missing', message: /0000000000000002\.wal/ });
    const renamed = new MemoryDisk();
    await (await open(renamed)).close();
    await renamed.rename(first, '/log/0000000000000002.wal');
    await assert.rejects(open(renamed), { code: 'corrupt', message: /under another name/ });
  });

  it('cuts a tail that was torn, says so, and goes on behind it', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1, 'a'.repeat(700))]);
    disk.operationsLeft = 1;
    await assert.rejects(log.append([entry(2, 'b'.repeat(700))]), { code: 'failed' });
    // The write was done and its sync was not: the first of its sectors is lost, the others stay.
    let call = 0;
    const torn = disk.crash('sectors', () => (call++ < 2 ? 1 : 0));
    const again = await open(torn);
    assert.equal(again.lastIndex, 1);
    assert.equal(again.cut?.path, first);
    assert.ok((again.cut?.bytes ?? 0) > 0);
    await again.append([entry(2, 'new')]);
    const last = await open(lose(torn));
    assert.equal((await texts(last)).at(-1), '2 new');
    assert.equal(last.cut, undefined);
  });

  it('refuses a changed byte in the very last record', async () => {
    for (const closed of [true, false]) {
      const disk = new MemoryDisk();
      const log = await open(disk);
      await log.append([entry(1), entry(2, 'last '.repeat(200))]);
      if (closed) await log.close();
      const damaged = lose(disk);
      const at = damaged.bytesOf(first).indexOf('last last') + 600;
      damaged.bytesOf(first)[at]! ^= 0x10;
      await assert.rejects(open(damaged), { code: 'corrupt' }, `closed: ${closed}`);
    }
  });

  it('reports an entry that changed on the disk while the log was open', async () => {
    const disk = new MemoryDisk();
    const log = await open(disk);
    await log.append([entry(1), entry(2)]);
    disk.bytesOf(first)[segmentHeaderBytes + 42]! ^= 1;
    await assert.rejects(log.read(1, 2), { code: 'corrupt', offset: segmentHeaderBytes });
  });
});
