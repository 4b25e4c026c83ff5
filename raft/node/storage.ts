/**
 * What a node keeps on its disk: the log, its hard state, and snapshots that carry the membership.
 */
import { join } from 'node:path';
import {
  emptyConf,
  encodeConfChange,
  type ConfState,
  type Entry,
  type HardState,
  type NodeId,
  type SnapshotMeta,
} from '../core/index.ts';
import {
  Log,
  LogError,
  Snapshots,
  type Cipher,
  type Disk,
  type LogEntry,
  type TornTail,
} from '../log/index.ts';
import type { InitialState } from './ports.ts';

const types = { normal: 0, config: 1 } as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface StorageOptions {
  readonly folder: string;
  readonly disk: Disk;
  /** Encrypts what is on the disk. */
  readonly cipher?: Cipher;
  readonly segmentBytes?: number;
  /** Snapshots kept besides the newest. */
  readonly keepOldSnapshots?: number;
}

interface Loaded {
  readonly hardState: HardState;
  readonly snapshot?: SnapshotMeta;
  /** The state machine's part of the snapshot. */
  readonly snapshotData?: Uint8Array;
  readonly entries: readonly Entry[];
}

export class Storage implements AsyncDisposable {
  readonly #folder: string;
  readonly #log: Log;
  readonly #snapshots: Snapshots;
  /** Snapshots kept besides the newest. */
  keepOldSnapshots: number;
  readonly #cipher: Cipher | undefined;
  /** As last given to the log, durable or not, if nothing has failed since. */
  #lastState: { state: Uint8Array; failures: number } | undefined;
  /** Snapshots are written one by one: what removes older ones must not meet another. */
  #lastSave: Promise<unknown> = Promise.resolve();
  /** Snapshots that are being written, with a key that no file names yet. */
  #saving = 0;

  private constructor(options: StorageOptions, log: Log, snapshots: Snapshots) {
    this.#folder = options.folder;
    this.#cipher = options.cipher;
    this.#log = log;
    this.#snapshots = snapshots;
    this.keepOldSnapshots = options.keepOldSnapshots ?? 0;
  }

  static async open(options: StorageOptions): Promise<Storage> {
    const { folder, disk, segmentBytes } = options;
    const cipher = options.cipher === undefined ? {} : { cipher: options.cipher };
    const log = await Log.open({
      folder: join(folder, 'wal'),
      disk,
      ...cipher,
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    });
    const snapshots = new Snapshots({ disk, folder: join(folder, 'snapshots'), ...cipher });
    try {
      await snapshots.open();
      return new Storage(options, log, snapshots);
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastSave;
    await this.#log.close();
  }

  /** The torn tail of the log that opening had to cut, if there was one. */
  get cut(): TornTail | undefined {
    return this.#log.cut;
  }

  /** What the last process left; undefined for a disk that holds nothing yet. */
  async load(): Promise<Loaded | undefined> {
    const [newest] = await this.#snapshots.list();
    const state = this.#log.state;
    if (newest === undefined && state === undefined) return undefined;
    const hardState: HardState =
      state === undefined
        ? { term: newest?.term ?? 0, vote: '', commit: newest?.index ?? 0 }
        : (JSON.parse(decoder.decode(state)) as HardState);
    if (newest === undefined) return { hardState, entries: await this.#entriesFrom(1) };
    const { conf, data } = unwrapSnapshot(await this.#snapshots.load(newest));
    const { index, term } = newest;
    return {
      hardState: { ...hardState, commit: Math.max(hardState.commit, index) },
      snapshot: { index, term, conf },
      snapshotData: data,
      entries: await this.#entriesAfter(index, term),
    };
  }

  /**
   * Makes the first node of a new group: its own membership is its first committed entry, or stands
   * in a snapshot with the state that the group begins with.
   */
  async bootstrap(id: NodeId, initial?: InitialState): Promise<void> {
    if (initial !== undefined) {
      const conf = { ...emptyConf(), voters: [id] };
      await this.installSnapshot({ index: initial.index, term: 1, conf }, initial.data);
      return;
    }
    const data = encodeConfChange({ steps: [{ op: 'add-voter', node: id }], transition: 'auto' });
    const first: Entry = { index: 1, term: 1, kind: 'config', data };
    await this.write([first], { term: 1, vote: '', commit: 1 });
  }

  /** Writes that were not kept. */
  get failures(): number {
    return this.#log.failures;
  }

  /**
   * Durable when it resolves. Writes are pipelined, and become durable in the order of the calls.
   * Rejects with LogError `full` when there are other `failures` than the caller knows of: what was
   * to be before this write is not there.
   */
  async write(
    entries: readonly Entry[],
    hardState: HardState | undefined,
    failures = this.failures,
  ): Promise<void> {
    this.#checkFailures(failures);
    const state = hardState && encoder.encode(JSON.stringify(hardState));
    if (state !== undefined) this.#lastState = { state, failures };
    if (entries.length > 0) await this.#log.append(entries.map(toLogEntry), state);
    else if (state !== undefined) await this.#log.saveState(state);
  }

  async saveSnapshot(meta: SnapshotMeta, parts: Iterable<Uint8Array>): Promise<void> {
    const save = this.#saveAfter(this.#lastSave, meta, parts);
    // Its outcome goes to whoever asked for it.
    this.#lastSave = Promise.allSettled([save]);
    await save;
  }

  async #saveAfter(
    earlier: Promise<unknown>,
    meta: SnapshotMeta,
    parts: Iterable<Uint8Array>,
  ): Promise<void> {
    await earlier;
    this.#saving += 1;
    try {
      await this.#snapshots.save(meta, wrapSnapshot(meta.conf, parts));
      await this.#snapshots.prune(1 + this.keepOldSnapshots);
    } finally {
      this.#saving -= 1;
    }
  }

  /** A snapshot from the leader takes the place of the whole log. */
  async installSnapshot(
    meta: SnapshotMeta,
    data: Uint8Array,
    failures = this.failures,
  ): Promise<void> {
    await this.saveSnapshot(meta, [data]);
    this.#checkFailures(failures);
    await this.#log.restart(meta.index);
  }

  #checkFailures(known: number): void {
    if (known === this.failures) return;
    throw new LogError('full', `${this.#folder}: an earlier write was not kept`);
  }

  /** The newest snapshot's state, to be sent to a follower. */
  async readSnapshot(): Promise<{ meta: SnapshotMeta; data: Uint8Array } | undefined> {
    const [newest] = await this.#snapshots.list();
    if (newest === undefined) return undefined;
    const { conf, data } = unwrapSnapshot(await this.#snapshots.load(newest));
    return { meta: { index: newest.index, term: newest.term, conf }, data };
  }

  async compact(upToIndex: number): Promise<void> {
    await this.#log.compact(upToIndex);
    await this.#releaseKeys();
  }

  /** The last entry that is encrypted with an older key; 0 for none. */
  get staleIndex(): number {
    return this.#log.staleIndex;
  }

  /** What is written from now on is encrypted with the cipher's present key. */
  async renewKey(): Promise<void> {
    const last = this.#lastState;
    // A newer one that is under way must not be followed by the one before it.
    const state = last?.failures === this.failures ? last.state : this.#log.state;
    // It goes to a new segment, of the new key. Without one, nothing was written yet.
    if (state !== undefined) await this.#log.saveState(state);
  }

  /** Nothing is encrypted any more with keys that no file names. */
  async #releaseKeys(): Promise<void> {
    if (this.#cipher?.retain === undefined) return;
    const present = this.#cipher.keyId;
    const snapshots = await this.#snapshots.keyIds();
    // Another key may have become the present one meanwhile, and files of it are being written.
    if (this.#cipher.keyId !== present || this.#saving > 0) return;
    this.#cipher.retain(new Set([...this.#log.keyIds, ...snapshots]));
  }

  /** The log goes on from the snapshot, unless it is behind it or belongs to another history. */
  async #entriesAfter(index: number, term: number): Promise<Entry[]> {
    const { firstIndex, lastIndex } = this.#log;
    const continues = firstIndex === index + 1 || this.#log.termOf(index) === term;
    if (lastIndex >= index && continues) return this.#entriesFrom(index + 1);
    await this.#log.restart(index);
    return [];
  }

  async #entriesFrom(from: number): Promise<Entry[]> {
    const entries: Entry[] = [];
    const { firstIndex, lastIndex: last } = this.#log;
    if (firstIndex > from) {
      const gap = `entries ${from} to ${firstIndex - 1} are in no snapshot and not in the log`;
      throw new LogError('missing', `${this.#folder}: files are missing: ${gap}`);
    }
    for (let next = from; next <= last;) {
      const read = await this.#log.read(next, last);
      for (const entry of read) entries.push(fromLogEntry(entry));
      next += read.length;
    }
    return entries;
  }
}

function toLogEntry({ index, term, kind, data }: Entry): LogEntry {
  return { index, term, type: types[kind], data };
}

function fromLogEntry({ index, term, type, data }: LogEntry): Entry {
  return { index, term, kind: type === types.config ? 'config' : 'normal', data };
}

/** The membership goes before the state, with its length in front. */
function* wrapSnapshot(conf: ConfState, parts: Iterable<Uint8Array>): Iterable<Uint8Array> {
  const header = encoder.encode(JSON.stringify(conf));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  yield Buffer.concat([length, header]);
  yield* parts;
}

function unwrapSnapshot(bytes: Uint8Array): { conf: ConfState; data: Uint8Array } {
  const length = Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32LE();
  const conf = JSON.parse(decoder.decode(bytes.subarray(4, 4 + length))) as ConfState;
  return { conf: { ...emptyConf(), ...conf }, data: bytes.subarray(4 + length) };
}
