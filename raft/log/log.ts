import { Batch, type Pending } from './batch.ts';
import { recordPlace, type Cipher } from './cipher.ts';
import type { Contents } from './contents.ts';
import type { Disk, DiskLock } from './disk.ts';
import { corrupt, fromDisk, LogError } from './errors.ts';
import { decodeRecord, recordBytes, type LogRecord } from './record.ts';
import { recover, type TornTail } from './recovery.ts';
import { Segments } from './segments.ts';
import { whileOpen } from './segment.ts';

export interface LogEntry {
  /** From 1, without gaps. */
  readonly index: number;
  readonly term: number;
  /** The user's own, 0 to 255. */
  readonly type: number;
  readonly data: Uint8Array;
}

export interface LogOptions {
  readonly folder: string;
  readonly disk: Disk;
  /** Encrypts payloads; they are plain where it is absent. */
  readonly cipher?: Cipher;
  /** Size of a segment's file; each is filled with zeros before use. 64 MiB where absent. */
  readonly segmentBytes?: number;
  /** The most that one write and one sync carry; a larger record goes alone. 1 MiB where absent. */
  readonly batchBytes?: number;
  /** The most that may wait to be written. 64 MiB where absent. */
  readonly pendingBytes?: number;
  /** The largest entry or state that is taken. 32 MiB where absent. */
  readonly recordBytes?: number;
}

type AllOptions = Required<Omit<LogOptions, 'cipher'>> & {
  readonly cipher: Cipher | undefined;
};

const mebibyte = 1 << 20;
const defaults = {
  segmentBytes: 64 * mebibyte,
  batchBytes: mebibyte,
  pendingBytes: 64 * mebibyte,
  recordBytes: 32 * mebibyte,
};

/**
 * A write-ahead log. What `append` resolved for survives any crash; what it did not may or may not.
 * Appends are pipelined: those that come while a sync is under way share the next one.
 */
export class Log implements AsyncDisposable {
  readonly #options: AllOptions;
  readonly #lock: DiskLock;
  readonly #segments: Segments;
  readonly #contents: Contents;
  readonly #queue: Pending[] = [];
  #queueBytes = 0;
  #lastIndex: number;
  #running: Promise<void> | undefined;
  #error: LogError | undefined;
  #closed = false;
  #failures = 0;
  /** The torn tail that opening had to cut, if there was one. */
  readonly cut: TornTail | undefined;

  private constructor(
    options: AllOptions,
    lock: DiskLock,
    segments: Segments,
    contents: Contents,
    cut: TornTail | undefined,
  ) {
    this.#options = options;
    this.#lock = lock;
    this.#segments = segments;
    this.#contents = contents;
    this.#lastIndex = contents.lastIndex;
    this.cut = cut;
  }

  /**
   * Opens the log in the folder, or creates it. Cuts a torn tail; throws LogError `corrupt` for any
   * other damage, `missing` for a segment that is gone, `locked` while another process has it, and
   * `wrong-key` for a segment that the cipher has no key for.
   */
  static async open(options: LogOptions): Promise<Log> {
    const all = { ...defaults, cipher: undefined, ...options };
    const { disk, folder } = all;
    await disk.makeFolder(folder);
    const lock = await disk.lock(folder);
    try {
      const { contents, segments, cut } = await recover(disk, folder, all.cipher);
      const files = new Segments(all, segments);
      try {
        await files.start(contents);
      } catch (error) {
        await files.close();
        throw error;
      }
      return new Log(all, lock, files, contents, cut);
    } catch (error) {
      await lock.release();
      throw fromDisk(error, `opening the log in ${folder}`);
    }
  }

  /** The first entry that can be read; one above `lastIndex` where there are none. */
  get firstIndex(): number {
    return this.#contents.firstIndex;
  }

  /** The last entry that was appended, durable or not. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** The last entry that is durable. */
  get durableIndex(): number {
    return this.#contents.lastIndex;
  }

  /**
   * Appends that were not kept. One that was planned on an earlier append is to be made only while
   * this stays the same: else it may follow what that one was to override.
   */
  get failures(): number {
    return this.#failures;
  }

  /** What `saveState` last made durable. */
  get state(): Uint8Array | undefined {
    return this.#contents.state;
  }

  /** The term of a durable entry that can be read. */
  termOf(index: number): number | undefined {
    return this.#contents.place(index)?.term;
  }

  /**
   * Appends entries, and behind them a state where it is given: a crash may keep the first ones of
   * them only. The first entry may follow the last one, or override one: that one and those after
   * it are then gone. Resolves when all are durable. Rejects with LogError `full`, `busy` or `too-large` (nothing was kept, and appends
   * that followed are rejected too), or `failed`.
   */
  append(entries: readonly LogEntry[], state?: Uint8Array): Promise<void> {
    const records: LogRecord[] = entries.map(({ index, term, type, data }) => ({
      kind: 'entry',
      index,
      term,
      type,
      payload: data,
    }));
    if (state !== undefined) records.push(stateRecord(state));
    return this.#enqueue(records);
  }

  /** Replaces the state: a small document of the user's (Raft's term, vote and commit index). */
  saveState(state: Uint8Array): Promise<void> {
    return this.#enqueue([stateRecord(state)]);
  }

  /** Forgets all entries; the next one is `index` + 1. For a snapshot that is ahead of the log. */
  restart(index: number): Promise<void> {
    const payload = new Uint8Array();
    return this.#enqueue([{ kind: 'restart', index, term: 0, type: 0, payload }]);
  }

  /**
   * Durable entries of [from, to], at most `maxBytes` of them, but at least one. Throws LogError
   * `corrupt` for what changed on the disk since it was written.
   */
  async read(from: number, to: number, { maxBytes = mebibyte } = {}): Promise<LogEntry[]> {
    const first = this.#contents.place(from);
    if (first === undefined) {
      throw new RangeError(`entry ${from} is not in ${this.firstIndex}..${this.durableIndex}`);
    }
    const { segment } = first;
    const places = [first];
    // Entries that stand one behind the other are read at once.
    let end = first.offset + first.bytes;
    for (let index = from + 1; index <= to; index++) {
      const place = this.#contents.place(index);
      if (place?.segment !== segment || place.offset < end) break;
      if (place.offset + place.bytes - first.offset > maxBytes) break;
      places.push(place);
      end = place.offset + place.bytes;
    }
    const bytes = Buffer.allocUnsafe(end - first.offset);
    await whileOpen(segment, () => segment.file.read(bytes, first.offset));
    return places.map((place, position) => {
      const record = decodeRecord(bytes, place.offset - first.offset, segment.seed);
      if (record?.kind !== 'entry' || record.index !== from + position) {
        throw corrupt(segment.path, place.offset, `entry ${from + position} is not there any more`);
      }
      const { index, term, type, payload } = record;
      const { path, sequence } = segment;
      const { offset } = place;
      const bound = recordPlace(record, { sequence, offset });
      const data = segment.cipher.decrypt(payload, bound, { path, offset });
      return { index, term, type, data };
    });
  }

  /** Removes the segments that hold no entry above `upToIndex`: the log may keep more than asked. */
  async compact(upToIndex: number): Promise<void> {
    this.#check();
    await this.#segments.compact(upToIndex, this.#contents);
  }

  /** The keys that are needed to read it. */
  get keyIds(): ReadonlySet<string> {
    return this.#segments.keyIds;
  }

  /** The last entry that was not encrypted with the cipher's present key; 0 for none. */
  get staleIndex(): number {
    return this.#segments.staleIndex;
  }

  /** Waits for what was appended, and lets go of the folder. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      // The last record proves that all before it was durable: what is damaged later is then known
      // to be damage, and not a torn tail.
      if (this.#error === undefined) {
        const sealed = this.#enqueue([sealRecord]);
        this.#error = new LogError('closed', `the log in ${this.#options.folder} is closed`);
        await sealed.catch(passOverFull);
      }
    } finally {
      await this.#running;
      await this.#segments.close();
      await this.#lock.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #enqueue(records: readonly LogRecord[]): Promise<void> {
    this.#check();
    const bytes = records.reduce((sum, record) => sum + recordBytes(record.payload.length), 0);
    try {
      this.#checkSizes(records, bytes);
      this.#lastIndex = this.#indexAfter(records);
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
    this.#queueBytes += bytes;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ records, next: 0, bytes, resolve, reject });
    this.#running ??= this.#run();
    await promise;
  }

  #check(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  #checkSizes(records: readonly LogRecord[], bytes: number): void {
    const { pendingBytes, recordBytes: most } = this.#options;
    const large = records.find((record) => record.payload.length > most);
    if (large !== undefined) {
      const { length } = large.payload;
      throw new LogError('too-large', `a record of ${length} bytes is above the limit of ${most}`);
    }
    if (this.#queueBytes > 0 && this.#queueBytes + bytes > pendingBytes) {
      throw new LogError('busy', `${this.#queueBytes} bytes wait to be written already`);
    }
  }

  #indexAfter(records: readonly LogRecord[]): number {
    let last = this.#lastIndex;
    for (const { kind, index } of records) {
      if (kind === 'restart') last = index;
      if (kind !== 'entry') continue;
      if (index > last + 1 || index < 1) {
        throw new RangeError(`entry ${index} cannot follow entry ${last}`);
      }
      last = index;
    }
    return last;
  }

  async #run(): Promise<void> {
    // Appends of the same turn of the event loop share the first sync.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      try {
        await this.#writeBatch();
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#running = undefined;
  }

  async #writeBatch(): Promise<void> {
    const head = this.#queue[0];
    const record = head?.records[head.next];
    if (record === undefined) {
      this.#queue.shift()?.resolve();
      return;
    }
    const { length } = record.payload;
    const segment = await this.#segments.withRoom(length, this.#contents);
    const needed = recordBytes(length + segment.cipher.overheadBytes);
    const room = Math.min(segment.size - segment.end, Math.max(this.#options.batchBytes, needed));
    const batch = new Batch(segment, this.#queue, room);
    await this.#segments.write(batch.bytes);
    batch.commit(this.#contents);
    while (this.#queue[0]?.next === this.#queue[0]?.records.length) {
      const done = this.#queue.shift();
      if (done === undefined) break;
      this.#queueBytes -= done.bytes;
      done.resolve();
    }
  }

  /** Whatever waits was planned on what could not be written, and is rejected with it. */
  #fail(thrown: unknown): void {
    const error = fromDisk(thrown, `writing the log in ${this.#options.folder}`);
    if (error.code !== 'full') this.#error ??= error;
    this.#failures += 1;
    const waiting = this.#queue.splice(0);
    this.#queueBytes = 0;
    this.#lastIndex = this.#contents.lastIndex;
    for (const { reject } of waiting) reject(error);
  }
}

/** A log on a full disk is closed without a seal, as a kill would close it. */
function passOverFull(error: unknown): void {
  if (!(error instanceof LogError) || error.code !== 'full') throw error;
}

const sealRecord: LogRecord = {
  kind: 'seal',
  index: 0,
  term: 0,
  type: 0,
  payload: new Uint8Array(),
};

function stateRecord(payload: Uint8Array): LogRecord {
  return { kind: 'state', index: 0, term: 0, type: 0, payload };
}
