import { strict as assert } from 'node:assert';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, write } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogWriter } from './log-writer.ts';

type Done = (error: NodeJS.ErrnoException | null, written: number) => void;

/** A disk whose writes end when, and as, the test says. */
class FakeDisk {
  content = '';
  readonly #pending: { bytes: Buffer; done: Done }[] = [];

  readonly write = ((_fd: number, bytes: Buffer, done: Done) => {
    this.#pending.push({ bytes, done });
  }) as unknown as typeof write;

  get pending(): number {
    return this.#pending.length;
  }

  take(length = Infinity): void {
    const { bytes, done } = this.#one();
    const taken = bytes.subarray(0, length);
    this.content += taken.toString();
    done(null, taken.length);
  }

  refuse(code: string): void {
    this.#one().done(Object.assign(new Error(`${code}: no`), { code }), 0);
  }

  #one(): { bytes: Buffer; done: Done } {
    const one = this.#pending.shift();
    assert.ok(one, 'something is being written');
    return one;
  }
}

describe('LogWriter', () => {
  let disk: FakeDisk;
  let lost: string[];
  let log: LogWriter;
  beforeEach(() => {
    disk = new FakeDisk();
    lost = [];
    const onLost = (lines: number, reason: string) => lost.push(`${lines}: ${reason}`);
    log = new LogWriter({ fd: -1, write: disk.write, onLost });
  });

  it('writes in order, one piece at a time, and the rest of what was taken in part', () => {
    for (const line of ['a\n', 'b\n', 'c\n']) log.write(line);
    assert.equal(disk.pending, 1);
    disk.take(1);
    disk.take();
    disk.take();
    assert.equal(disk.content, 'a\nb\nc\n');
    assert.equal(disk.pending, 0);
    assert.deepEqual(lost, []);
  });

  it('loses what a full disk refuses, goes on, and tells it once there is room', () => {
    log.write('a\n');
    log.write('b\n');
    log.write('c\n');
    disk.refuse('ENOSPC');
    disk.refuse('ENOSPC');
    assert.equal(disk.pending, 0);
    assert.deepEqual(lost, []);
    log.write('d\n');
    disk.take();
    assert.equal(disk.content, 'd\n');
    assert.deepEqual(lost, ['3: ENOSPC: no']);
  });

  it('keeps a bounded number of lines for a reader that reads nothing', () => {
    const line = `${'x'.repeat(64 * 1024 - 1)}\n`;
    for (let n = 0; n < 20; n++) log.write(line);
    disk.take();
    disk.take();
    assert.equal(disk.content.length, 17 * line.length, 'one in hand and 1 MiB that waits');
    assert.deepEqual(lost, ['3: they came faster than they could be written']);
  });

  it('does not end, nor keep from ending, a process whose log is on a full disk', async () => {
    const fd = openSync('/dev/full', 'w');
    const refused = Promise.withResolvers<unknown>();
    try {
      const counting = ((_fd: number, bytes: Buffer, done: Done) => {
        write(fd, bytes, (error, written) => {
          done(error, written);
          refused.resolve(error);
        });
      }) as unknown as typeof write;
      const real = new LogWriter({ fd, write: counting, onLost: () => assert.fail('not written') });
      real.write('a\n');
      assert.match(String(await refused.promise), /ENOSPC/);
    } finally {
      closeSync(fd);
    }
    const full = openSync('/dev/full', 'w');
    try {
      const ending = new LogWriter({ fd: full, write: disk.write, onLost: () => undefined });
      ending.write('in hand\n');
      ending.write('waiting\n');
      ending.flushSync();
    } finally {
      closeSync(full);
    }
  });

  it('writes at the end what still waits', () => {
    const folder = mkdtempSync(join(tmpdir(), 'log-writer-'));
    const path = join(folder, 'daemon.log');
    const fd = openSync(path, 'a');
    try {
      const ending = new LogWriter({ fd, write: disk.write, onLost: () => undefined });
      ending.write('in hand\n');
      ending.write('waiting\n');
      ending.flushSync();
      assert.equal(readFileSync(path, 'utf8'), 'waiting\n');
    } finally {
      closeSync(fd);
      rmSync(folder, { recursive: true });
    }
  });
});
