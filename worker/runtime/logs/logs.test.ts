import { strict as assert } from 'node:assert';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
  closeSync,
  constants,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { realClock, VirtualClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { collect, text } from '../runtime.contract.ts';
import type { LogQuery } from '../runtime.ts';
import { makeFifo } from './fifo.ts';
import { decodeEntry, encodeEntry, lineBytesMax, LineSplitter, Stamper } from './json-lines.ts';
import { LogFile } from './log-file.ts';
import { LogBudget, LogPump } from './log-pump.ts';
import { sinceStart } from './log-position.ts';
import { readLog } from './log-reader.ts';

const all: LogQuery = { follow: false, stdout: true, stderr: true };
const time = '2024-01-01T00:00:00.000000000Z';

describe('log lines', () => {
  it('are Docker’s json-file entries', () => {
    const line = encodeEntry('say "hi"\n', 'stderr', time);
    assert.equal(line, `{"log":"say \\"hi\\"\\n","stream":"stderr","time":"${time}"}\n`);
    const decoded = decodeEntry(Buffer.from(line.trimEnd()));
    assert.equal(decoded && text(decoded), 'stderr say "hi"\n');
    assert.equal(decoded?.timeNs, 1_704_067_200_000_000_000n);
  });

  it('pass over what a crash has torn', () => {
    for (const torn of ['', '{"log":"x', '[]', 'null', '{"log":1}', '{"log":"x","time":"no"}']) {
      assert.equal(decodeEntry(Buffer.from(torn)), undefined);
    }
  });

  it('come out whole, however they were cut on the way', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 30 })),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (words, sizes) => {
          const whole = Buffer.from(words.join('\n'));
          const splitter = new LineSplitter();
          const out: string[] = [];
          for (let at = 0, turn = 0; at < whole.length; turn++) {
            const size = sizes[turn % sizes.length] ?? 1;
            out.push(...splitter.push(whole.subarray(at, at + size)));
            at += size;
          }
          out.push(...splitter.end());
          assert.equal(out.join(''), whole.toString());
          for (const line of out.slice(0, -1)) assert.ok(line.endsWith('\n'));
        },
      ),
    );
  });

  it('are cut where they are too long, between characters', () => {
    const splitter = new LineSplitter();
    const long = 'é'.repeat(lineBytesMax);
    const texts = [...splitter.push(Buffer.from(`x${long}\n`)), ...splitter.end()];
    assert.equal(texts.join(''), `x${long}\n`);
    assert.ok(texts.length === 3 && texts.every((part) => Buffer.byteLength(part) <= lineBytesMax));
  });

  it('have times that only grow', () => {
    const stamper = new Stamper();
    const stamps = [5000, 5000, 4000, 5001, 1e12].map((ms) => stamper.next(ms));
    assert.deepEqual(stamps, [
      '1970-01-01T00:00:05.000000000Z',
      '1970-01-01T00:00:05.000000001Z',
      '1970-01-01T00:00:05.000000002Z',
      '1970-01-01T00:00:05.001000000Z',
      '2001-09-09T01:46:40.000000000Z',
    ]);
  });
});

describe('log files', () => {
  let folder: string;
  let log: LogFile;
  let stamper: Stamper;

  beforeEach(() => {
    stamper = new Stamper();
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-logs-'));
    log = new LogFile(join(folder, 'x.log'), { maxSizeBytes: 1000, maxFiles: 3 });
  });
  afterEach(async () => {
    await log.end();
    rmSync(folder, { recursive: true });
  });

  const write = async (from: number, to: number) => {
    for (let n = from; n <= to; n++) {
      await log.append(encodeEntry(`${n}\n`, n % 2 ? 'stdout' : 'stderr', stamper.next(n * 1000)));
    }
  };
  const read = async (query: Partial<LogQuery> = {}) =>
    (await collect(readLog(log, { ...all, ...query }))).map((line) =>
      Number(Buffer.from(line.data).toString()),
    );
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);

  it('rotate by size, and keep so many', async () => {
    await write(1, 100);
    assert.ok(existsSync(`${log.path}.2`) && !existsSync(`${log.path}.3`));
    const kept = await read();
    assert.equal(kept.at(-1), 100);
    assert.deepEqual(kept, range(kept[0]!, 100));
    assert.ok(kept.length < 60 && kept.length > 20, `${kept.length} lines kept`);
  });

  it('are read from the tail across files, by stream and by time', async () => {
    await write(1, 30);
    assert.deepEqual(await read({ tail: 20 }), range(11, 30));
    assert.deepEqual(await read({ tail: 3, stdout: false }), [26, 28, 30]);
    assert.deepEqual(await read({ tail: 0 }), []);
    assert.deepEqual(await read({ sinceMs: 27_000, untilMs: 29_500 }), [27, 28, 29]);
    assert.deepEqual(await read({ tail: 1000 }), await read());
  });

  it('are read from a time on without what is older', async () => {
    const large = new LogFile(join(folder, 'large.log'), { maxSizeBytes: 400_000, maxFiles: 4 });
    const entries = Array.from({ length: 1500 }, (_, index) => {
      const line = `${index} ${'x'.repeat((index * 7919) % 1500)}\n`;
      return encodeEntry(line, 'stdout', stamper.next((index + 1) * 1000));
    });
    for (let at = 0; at < entries.length; at += 50) {
      await large.append(entries.slice(at, at + 50).join(''));
    }
    await large.end();
    assert.ok(existsSync(`${large.path}.3`), 'it has rotated');
    const numbers = async (query: Partial<LogQuery>) =>
      (await collect(readLog(large, { ...all, ...query }))).map(({ timeNs }) =>
        Number(timeNs / 1_000_000_000n),
      );
    const kept = await numbers({});
    for (const since of [0, 1, kept[0]!, kept[1]! + 0.5, 700, 900, 1200.5, 1499, 1500, 1501]) {
      const wanted = kept.filter((second) => second >= since);
      const query = { sinceMs: since * 1000 };
      assert.deepEqual(await numbers(query), wanted, `since ${since}`);
      assert.deepEqual(await numbers({ ...query, tail: 5 }), wanted.slice(-5), `tail at ${since}`);
      const start = await sinceStart(large, BigInt(since * 1e9));
      const file = readFileSync(start!.path).subarray(start!.offset);
      const first = decodeEntry(file.subarray(0, file.indexOf(10)));
      assert.ok(first !== undefined, 'it begins with an entry');
      const passed = entries
        .filter((_, index) => BigInt(index + 1) * 1_000_000_000n >= first.timeNs)
        .filter((_, index, from) => index < from.length - wanted.length);
      assert.ok(since <= 1 || passed.join('').length < 128 * 1024, `little before ${since}`);
    }
  });

  it('are followed through rotations to the end', async () => {
    const lines: number[] = [];
    const following = (async () => {
      for await (const line of readLog(log, { ...all, follow: true })) {
        lines.push(Number(Buffer.from(line.data).toString()));
      }
    })();
    for (let count = 0; count < 60; count += 20) {
      // A reader that is behind by all files that are kept has lost something.
      while (lines.length < count) await new Promise(setImmediate);
      await write(count + 1, count + 20);
    }
    await log.end();
    await following;
    assert.ok(existsSync(`${log.path}.1`));
    assert.deepEqual(lines, range(1, 60));
  });

  it('are read in order, each line once, while they rotate all the time', async () => {
    const writing = write(1, 400);
    for (let rounds = 0; rounds < 30; rounds++) {
      for (const lines of await Promise.all([read(), read({ tail: 15 }), read()])) {
        // Who is slower than all files that are kept misses some, and none comes again.
        assert.deepEqual(
          lines,
          [...new Set(lines)].toSorted((one, other) => one - other),
        );
      }
    }
    await writing;
  });

  it('stop being followed when the reader goes', async () => {
    const abort = new AbortController();
    const lines = readLog(log, { ...all, follow: true }, abort.signal);
    await write(1, 1);
    assert.ok(!(await lines.next()).done);
    const next = lines.next();
    abort.abort(new Error('gone'));
    await assert.rejects(next, /gone/);
  });

  it('leave nothing that fails when the signal comes after the reader has gone', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const abort = new AbortController();
      await write(1, 2);
      assert.equal((await collect(readLog(log, all, abort.signal))).length, 2);
      const left = readLog(log, { ...all, follow: true }, abort.signal);
      await left.next();
      await left.return(undefined);
      abort.abort(new Error('nobody waits for this'));
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('unhandledRejection', note);
    }
    assert.deepEqual(unhandled, []);
  });

  it('go on after what a crash has torn', async () => {
    await write(1, 2);
    appendFileSync(log.path, '{"log":"tor\n');
    await write(3, 4);
    assert.deepEqual(await read(), [1, 2, 3, 4]);
    assert.deepEqual(await read({ tail: 3 }), [2, 3, 4]);
  });
});

describe('log pump', () => {
  let folder: string;
  let path: string;
  let log: LogFile;
  let pump: LogPump | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-pump-'));
    path = join(folder, 'stdout');
    makeFifo(path);
    log = new LogFile(join(folder, 'x.log'), { maxSizeBytes: 1e7, maxFiles: 2 });
  });
  afterEach(async () => {
    await pump?.close();
    rmSync(folder, { recursive: true });
  });
  const open = (options: Partial<ConstructorParameters<typeof LogPump>[2]> = {}) =>
    new LogPump([{ stream: 'stdout', path }], log, {
      budget: new LogBudget(realClock),
      log: silentLogger,
      ...options,
    });

  it('says of each line what the options have it say of the container', async () => {
    pump = open({ attributes: { tier: 'front', tag: 'x/y' } });
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(fd, 'hi\n');
    closeSync(fd);
    await pump.drain();
    pump = undefined;
    assert.match(
      readFileSync(log.path, 'utf8'),
      /^\{"log":"hi\\n","stream":"stdout","attrs":\{"tier":"front","tag":"x\/y"\},"time":"[^"]+"\}\n$/,
    );
    const [line] = await collect(readLog(log, all));
    assert.deepEqual(line?.attributes, { tier: 'front', tag: 'x/y' });
  });

  it('loses whole lines where a container is not to wait, and keeps the others in order', async () => {
    const warnings: unknown[] = [];
    const lost = { ...silentLogger, warn: (...said: unknown[]) => void warnings.push(said) };
    const isWritten = Promise.withResolvers<void>();
    const append = log.append.bind(log);
    // A disk that takes nothing for a while.
    log.append = async (text) => {
      await isWritten.promise;
      await append(text);
    };
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    pump = open({ ringBytes: 64 * 1024, log: lost });
    let count = 0;
    const write = () => {
      try {
        for (;;) {
          writeSync(fd, Array.from({ length: 100 }, () => `line ${count++}\n`).join(''));
        }
      } catch (error) {
        assert.match(String(error), /EAGAIN/);
      }
      return count;
    };
    // The pipe is emptied again and again, though nothing can be written.
    for (let written = 0; written < 200_000; written = write()) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    isWritten.resolve();
    await pump.close();
    pump = undefined;
    closeSync(fd);
    const read = (await collect(readLog(log, all))).map((line) =>
      Buffer.from(line.data).toString(),
    );
    const numbers = read.slice(0, -1).map((one) => Number(/^line (\d+)\n$/.exec(one)?.[1]));
    assert.ok(numbers.length > 1000 && numbers.length < count, `${numbers.length} of ${count}`);
    assert.ok(
      numbers.every((number, at) => at === 0 || number > numbers[at - 1]!),
      'whole, and in order',
    );
    assert.match(JSON.stringify(warnings), /lines are lost.*lostBytes/);
  });

  it('carries over what is left once the writer has gone', async () => {
    pump = open();
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join('');
    writeSync(fd, lines);
    closeSync(fd);
    await pump.drain();
    pump = undefined;
    const read = await collect(readLog(log, all));
    assert.equal(read.length, 20_000);
    assert.equal(read.map((line) => Buffer.from(line.data).toString()).join(''), lines);
  });

  it('leaves in the pipe what it has not read, for the next one', async () => {
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    pump = open();
    await pump.close();
    writeSync(fd, 'while away\n');
    log = new LogFile(log.path, { maxSizeBytes: 1e7, maxFiles: 2 });
    pump = open();
    await pump.drain();
    pump = undefined;
    closeSync(fd);
    const read = await collect(readLog(log, all));
    assert.deepEqual(read.map(text), ['stdout while away\n']);
  });

  it('keeps logs to their share of the thread', () => {
    const clock = new VirtualClock();
    const budget = new LogBudget(clock);
    assert.equal(budget.charge(0.1), 0);
    assert.ok(budget.charge(10) >= 20);
    clock.advance(5);
    assert.ok(budget.charge(10) >= 35);
    clock.advance(1000);
    assert.equal(budget.charge(0.1), 0);
  });
});
