/** The log's files: writes go to the last one, and the next is made ready before it is needed. */
import { join } from 'node:path';
import { FileCipher, type Cipher } from './cipher.ts';
import type { Contents } from './contents.ts';
import type { Disk, DiskFile } from './disk.ts';
import { fromDisk, LogError } from './errors.ts';
import { recordBytes, segmentHeaderBytes } from './record.ts';
import { findSpare } from './recovery.ts';
import { makeSpare, promoteSpare, spareName, type Segment } from './segment.ts';

interface Options {
  readonly disk: Disk;
  readonly folder: string;
  readonly segmentBytes: number;
  readonly cipher: Cipher | undefined;
}

export class Segments {
  readonly #options: Options;
  /** Oldest first. */
  readonly #all: Segment[];
  #spare: Promise<DiskFile | LogError> | undefined;
  /** Bytes behind the end that a failed write may have left, and that are not zeros any more. */
  #dirtyBytes = 0;
  #compactTo = 0;
  #compacting: Promise<void> | undefined;

  constructor(options: Options, recovered: Segment[]) {
    this.#options = options;
    this.#all = recovered;
  }

  /** Creates the first segment of a new log. */
  async start(contents: Contents): Promise<void> {
    const { disk, folder, segmentBytes } = this.#options;
    const spare = await findSpare(disk, folder, segmentBytes);
    if (spare !== undefined) this.#spare = Promise.resolve(spare);
    if (this.#all.length === 0) await this.#rotate(0, contents);
    this.#prepareSpare();
  }

  get last(): Segment {
    const last = this.#all.at(-1);
    if (last === undefined) throw new RangeError('the log has no segment');
    return last;
  }

  /**
   * The segment that the next record of that payload goes to: a new one where the last is full, or
   * encrypted with an older key.
   */
  async withRoom(payloadLength: number, contents: Contents): Promise<Segment> {
    const bytes = recordBytes(payloadLength + this.last.cipher.overheadBytes);
    const stale = this.last.cipher.keyId !== new FileCipher(this.#options.cipher).keyId;
    if (stale || this.last.end + bytes > this.last.size) await this.#rotate(bytes, contents);
    return this.last;
  }

  /** Writes behind the last segment's end, durably. The caller moves the end. */
  async write(bytes: Buffer): Promise<void> {
    const { file, end, path } = this.last;
    await this.#mend();
    try {
      await file.write(bytes, end);
    } catch (error) {
      this.#dirtyBytes = bytes.length;
      throw fromDisk(error, `writing ${path}`);
    }
    await this.#sync(file, path);
  }

  /** Calls share one run, as each file can be removed but once. */
  compact(upToIndex: number, contents: Contents): Promise<void> {
    this.#compactTo = Math.max(this.#compactTo, upToIndex);
    this.#compacting ??= this.#dropOldest(contents).finally(() => {
      this.#compacting = undefined;
    });
    return this.#compacting;
  }

  /** The keys that segments are encrypted with. */
  get keyIds(): ReadonlySet<string> {
    return new Set(this.#all.map(({ cipher }) => cipher.keyId));
  }

  /** The last entry in segments that are not encrypted with the present key; 0 for none. */
  get staleIndex(): number {
    const { keyId } = new FileCipher(this.#options.cipher);
    const stale = this.#all.filter(({ cipher }) => cipher.keyId !== keyId);
    return Math.max(0, ...stale.map(({ maxIndex }) => maxIndex));
  }

  async close(): Promise<void> {
    const spare = await this.#spare;
    if (spare !== undefined && !(spare instanceof LogError)) await spare.close();
    // Its outcome went to whoever asked for it.
    await Promise.allSettled([this.#compacting]);
    for (const segment of this.#all) await segment.file.close();
  }

  async #dropOldest(contents: Contents): Promise<void> {
    const { disk, folder } = this.#options;
    for (;;) {
      const [oldest] = this.#all;
      if (oldest === undefined || this.#all.length === 1) return;
      if (!contents.canDrop(oldest, this.#compactTo)) return;
      // One by one, so that a crash never leaves a gap between segments.
      await disk.unlink(oldest.path);
      await disk.syncFolder(folder);
      this.#all.shift();
      contents.drop(oldest);
      oldest.dropped = true;
      if (oldest.readers === 0) await oldest.file.close();
    }
  }

  async #rotate(needed: number, contents: Contents): Promise<void> {
    const { disk, folder, segmentBytes } = this.#options;
    const { state } = contents;
    const cipher = new FileCipher(this.#options.cipher);
    const stateBytes = state === undefined ? 0 : recordBytes(state.length + cipher.overheadBytes);
    const size = Math.max(segmentBytes, segmentHeaderBytes + stateBytes + needed);
    const previous = this.#all.at(-1);
    const file = await this.#takeSpare(size);
    const header = {
      sequence: (previous?.sequence ?? 0) + 1,
      firstIndex: contents.lastIndex + 1,
      previousEnd: previous?.end ?? 0,
      previousChecksum: previous?.checksum ?? 0,
    };
    let segment: Segment;
    try {
      segment = await promoteSpare(disk, folder, file, header, cipher, state);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#dirtyBytes = 0;
    this.#all.push(segment);
    this.#prepareSpare();
  }

  async #takeSpare(size: number): Promise<DiskFile> {
    const { disk, folder, segmentBytes } = this.#options;
    const spare = await this.#spare;
    this.#spare = undefined;
    // One that could not be made in the background is made again now: there may be room again.
    if (spare !== undefined && !(spare instanceof LogError) && size === segmentBytes) return spare;
    if (spare !== undefined && !(spare instanceof LogError)) await spare.close();
    return makeSpare(disk, folder, size);
  }

  #prepareSpare(): void {
    const { disk, folder, segmentBytes } = this.#options;
    this.#spare ??= makeSpare(disk, folder, segmentBytes).catch((error: unknown) =>
      fromDisk(error, `creating ${join(folder, spareName)}`),
    );
  }

  /** Zeros again what a failed write left, so that no crash shows it among later records. */
  async #mend(): Promise<void> {
    if (this.#dirtyBytes === 0) return;
    const { file, end, path } = this.last;
    try {
      await file.write(Buffer.alloc(this.#dirtyBytes), end);
    } catch (error) {
      throw fromDisk(error, `writing ${path}`);
    }
    await this.#sync(file, path);
    this.#dirtyBytes = 0;
  }

  /** After a failed sync the system may call lost data clean, so no later sync can be believed. */
  async #sync(file: DiskFile, path: string): Promise<void> {
    try {
      await file.sync();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new LogError('failed', `syncing ${path} failed: ${why}`, { path, cause: error });
    }
  }
}
