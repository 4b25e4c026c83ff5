/** One file of the log, filled with zeros before it is used: later writes allocate nothing. */
import { join } from 'node:path';
import { recordPlace, type FileCipher } from './cipher.ts';
import { giveBack, type Disk, type DiskFile } from './disk.ts';
import {
  encodeRecord,
  encodeSegmentHeader,
  recordBytes,
  segmentHeaderBytes,
  type SegmentHeader,
} from './record.ts';

export interface Segment {
  readonly sequence: number;
  readonly path: string;
  readonly file: DiskFile;
  /** Bytes of the file. */
  readonly size: number;
  /** Seeds the checksums of its records: one of another segment is not taken for its own. */
  readonly seed: number;
  /** What its records' payloads go through. */
  readonly cipher: FileCipher;
  /** Where the next record goes. */
  end: number;
  /** Checksum of the last record, or of the header. */
  checksum: number;
  /** The highest index of an entry in it, overridden ones as well. */
  maxIndex: number;
  /** Reads under way: a file is closed only when nobody reads it. */
  readers: number;
  dropped: boolean;
}

const suffix = '.wal';
export const spareName = `spare${suffix}`;
const unfinishedSuffix = '.tmp';
/** Written at once while filling a file with zeros. */
const fillBytes = 1 << 20;

export function segmentName(sequence: number): string {
  return `${String(sequence).padStart(16, '0')}${suffix}`;
}

/** The segment's number, or undefined for another file. */
export function sequenceOf(name: string): number | undefined {
  return /^\d{16}\.wal$/.test(name) ? Number(name.slice(0, -suffix.length)) : undefined;
}

export function isUnfinished(name: string): boolean {
  return name.endsWith(unfinishedSuffix);
}

/** A file of zeros under the name of the spare, durable but for its name. */
export async function makeSpare(disk: Disk, folder: string, size: number): Promise<DiskFile> {
  const path = join(folder, spareName);
  const unfinished = `${path}${unfinishedSuffix}`;
  const file = await disk.create(unfinished);
  try {
    const zeros = Buffer.alloc(Math.min(size, fillBytes));
    for (let at = 0; at < size; at += zeros.length) {
      await file.write(zeros.subarray(0, Math.min(zeros.length, size - at)), at);
      // Little by little, so that an append's own sync does not have to wait for all of it.
      await file.sync();
    }
    await disk.rename(unfinished, path);
    return file;
  } catch (error) {
    await file.close();
    await giveBack(disk, unfinished);
    throw error;
  }
}

/**
 * Makes the spare the segment of that header, which then stands on the disk durably. It begins with
 * the state, so that the segments before it can be removed.
 */
export async function promoteSpare(
  disk: Disk,
  folder: string,
  file: DiskFile,
  named: Omit<SegmentHeader, 'keyId'>,
  cipher: FileCipher,
  state: Uint8Array | undefined,
): Promise<Segment> {
  const header = { ...named, keyId: cipher.keyId };
  const stateBytes = state === undefined ? 0 : recordBytes(state.length + cipher.overheadBytes);
  const block = Buffer.alloc(segmentHeaderBytes + stateBytes);
  const seed = encodeSegmentHeader(block, header);
  let checksum = seed;
  if (state !== undefined) {
    const what = { kind: 'state', index: 0, term: 0, type: 0 } as const;
    const at = { sequence: header.sequence, offset: segmentHeaderBytes };
    const record = { ...what, payload: cipher.encrypt(state, recordPlace(what, at)) };
    const context = { seed, previous: seed, durable: segmentHeaderBytes };
    checksum = encodeRecord(block, segmentHeaderBytes, record, context);
  }
  await file.write(block, 0);
  await file.sync();
  const path = join(folder, segmentName(header.sequence));
  await disk.rename(join(folder, spareName), path);
  await disk.syncFolder(folder);
  const size = await file.size();
  const rest = { maxIndex: 0, readers: 0, dropped: false };
  return {
    sequence: header.sequence,
    path,
    file,
    size,
    seed,
    cipher,
    end: block.length,
    checksum,
    ...rest,
  };
}

/** Runs `use` on the segment's file, which stays open as long, also if the segment is dropped. */
export async function whileOpen<T>(segment: Segment, use: () => Promise<T>): Promise<T> {
  segment.readers += 1;
  try {
    return await use();
  } finally {
    segment.readers -= 1;
    if (segment.dropped && segment.readers === 0) await segment.file.close();
  }
}
