/** What a crash left behind: reads every segment, cuts a torn tail, refuses what is damaged. */
import { join } from 'node:path';
import { FileCipher, recordPlace, type Cipher } from './cipher.ts';
import { Contents } from './contents.ts';
import type { Disk, DiskFile } from './disk.ts';
import { corrupt, LogError } from './errors.ts';
import {
  decodeRecord,
  decodeSegmentHeader,
  isZero,
  looksTorn,
  mayBeRecord,
  recordHeaderBytes,
  segmentHeaderBytes,
  type FoundRecord,
} from './record.ts';
import { isUnfinished, type Segment, segmentName, sequenceOf, spareName } from './segment.ts';

interface Recovered {
  readonly contents: Contents;
  /** Oldest first; empty where there is no log yet. */
  readonly segments: Segment[];
  /** A tail that a crash had torn: never acknowledged, and now cut. */
  readonly cut?: TornTail;
}

export interface TornTail {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

type Header = Exclude<ReturnType<typeof decodeSegmentHeader>, string>;
type Opened = Segment & { readonly header: Header };

/** Throws LogError `corrupt` (naming file and byte), `missing` or `wrong-key`. */
export async function recover(
  disk: Disk,
  folder: string,
  cipher: Cipher | undefined,
): Promise<Recovered> {
  const names = await disk.list(folder);
  for (const name of names.filter(isUnfinished)) await disk.unlink(join(folder, name));
  // A process that was killed may have left a name in the cache that is not on the disk yet.
  await disk.syncFolder(folder);
  const sequences = names
    .map(sequenceOf)
    .filter((sequence) => sequence !== undefined)
    .sort((a, b) => a - b);
  checkNoneMissing(folder, sequences);
  const segments: Opened[] = [];
  const contents = new Contents();
  let cut: TornTail | undefined;
  try {
    for (const sequence of sequences) {
      segments.push(await openSegment(disk, folder, sequence, cipher));
    }
    for (const [position, segment] of segments.entries()) {
      const bytes = Buffer.allocUnsafe(segment.size);
      await segment.file.read(bytes, 0);
      if (position === 0) contents.expect(segment.header.firstIndex);
      const next = segments[position + 1];
      const limit = next?.header.previousEnd ?? segment.size;
      const durable = scan(segment, bytes, limit, contents);
      if (next === undefined) cut = await mendTail(segment, bytes, durable);
      else checkSealed(segment, next.header);
    }
  } catch (error) {
    for (const segment of segments) await segment.file.close();
    throw error;
  }
  return { contents, segments, ...(cut === undefined ? {} : { cut }) };
}

function checkNoneMissing(folder: string, sequences: readonly number[]): void {
  for (const [position, sequence] of sequences.entries()) {
    const expected = (sequences[0] ?? 0) + position;
    if (sequence === expected) continue;
    const path = join(folder, segmentName(expected));
    throw new LogError('missing', `${path} is missing, though later segments exist`, { path });
  }
}

async function openSegment(
  disk: Disk,
  folder: string,
  sequence: number,
  cipher: Cipher | undefined,
): Promise<Opened> {
  const path = join(folder, segmentName(sequence));
  const file = await disk.open(path);
  const block = Buffer.alloc(segmentHeaderBytes);
  const count = await file.read(block, 0);
  const header = decodeSegmentHeader(block.subarray(0, count));
  const wrong =
    typeof header === 'string'
      ? header
      : header.sequence === sequence
        ? undefined
        : `it is segment ${header.sequence} under another name`;
  if (typeof header === 'string' || wrong !== undefined) {
    await file.close();
    throw corrupt(path, 0, wrong ?? '');
  }
  let fileCipher: FileCipher;
  try {
    fileCipher = FileCipher.of(cipher, header.keyId, path);
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    header,
    sequence,
    path,
    file,
    size: await file.size(),
    seed: header.checksum,
    cipher: fileCipher,
    end: segmentHeaderBytes,
    checksum: header.checksum,
    maxIndex: 0,
    readers: 0,
    dropped: false,
  };
}

/**
 * Takes in the segment's whole records up to `limit`, and moves its end behind the last of them.
 * Returns up to which byte the segment is known to have been durable.
 */
function scan(segment: Segment, bytes: Buffer, limit: number, contents: Contents): number {
  let durable = segmentHeaderBytes;
  while (segment.end < limit) {
    const record = decodeRecord(bytes, segment.end, segment.seed);
    if (record === undefined || record.previous !== segment.checksum) break;
    const { path, end: offset } = segment;
    const place = { segment, offset, bytes: record.bytes, term: record.term };
    if (!contents.add(readable(record, segment), place)) {
      const why = `entry ${record.index} follows entry ${contents.lastIndex}`;
      throw corrupt(path, offset, why);
    }
    durable = Math.max(durable, record.durable);
    segment.end += record.bytes;
    segment.checksum = record.checksum;
  }
  return durable;
}

/** States are needed at once; entries are decrypted when they are read. */
function readable(record: FoundRecord, segment: Segment): FoundRecord {
  if (record.kind !== 'state') return record;
  const { sequence, path, end: offset } = segment;
  const place = recordPlace(record, { sequence, offset });
  const payload = segment.cipher.decrypt(record.payload, place, { path, offset });
  return { ...record, payload };
}

/** A segment that another one follows was whole and durable before that one was made. */
function checkSealed(segment: Segment, next: Header): void {
  if (segment.end === next.previousEnd && segment.checksum === next.previousChecksum) return;
  const why = `the records up to byte ${next.previousEnd} are not those that were written`;
  throw corrupt(segment.path, segment.end, why);
}

/**
 * Tells a torn tail from damage, cuts the one and refuses the other. Then writes the last records
 * once more and syncs: the system's cache may show what a failed or missing sync left off the disk.
 */
async function mendTail(
  segment: Segment,
  bytes: Buffer,
  durable: number,
): Promise<TornTail | undefined> {
  const { file, path, end, size } = segment;
  let last = end;
  if (!isZero(bytes, end, size)) {
    refuseDamage(segment, bytes);
    last = size;
    while (bytes[last - 1] === 0) last -= 1;
    await cutTail(file, end, last);
  }
  await file.write(bytes.subarray(durable, end), durable);
  await file.sync();
  return last > end ? { path, offset: end, bytes: last - end } : undefined;
}

/**
 * Zeros in an order in which a crash at any byte leaves what is known as torn again: what follows
 * the first record's header, the last byte of the header, the header.
 */
async function cutTail(file: DiskFile, end: number, last: number): Promise<void> {
  const headerEnd = end + recordHeaderBytes;
  const ranges = [
    [headerEnd, last],
    [headerEnd - 1, Math.min(last, headerEnd)],
    [end, Math.min(last, headerEnd - 1)],
  ] as const;
  for (const [from, to] of ranges) {
    if (to <= from) continue;
    await file.write(Buffer.alloc(to - from), from);
    await file.sync();
  }
}

function refuseDamage(segment: Segment, bytes: Buffer): void {
  const { path, end, seed } = segment;
  for (let at = end; at + recordHeaderBytes <= bytes.length; at += 8) {
    if (!mayBeRecord(bytes, at)) continue;
    const record = decodeRecord(bytes, at, seed);
    if (record !== undefined && record.durable > end) {
      throw corrupt(path, end, `a record is not whole, though it was durable when byte ${at} came`);
    }
  }
  if (!looksTorn(bytes, end, seed)) {
    throw corrupt(path, end, "a record's checksum does not match, and it was written to its end");
  }
}

/** The spare that the last run left, if it may be used: of the right size, and never begun. */
export async function findSpare(
  disk: Disk,
  folder: string,
  size: number,
): Promise<DiskFile | undefined> {
  if (!(await disk.list(folder)).includes(spareName)) return undefined;
  const path = join(folder, spareName);
  const file = await disk.open(path);
  if ((await file.size()) === size) {
    // Its beginning may have been written: a crash came before it got its number.
    const bytes = Buffer.allocUnsafe(size);
    await file.read(bytes, 0);
    if (isZero(bytes, 0, size)) return file;
  }
  await file.close();
  await disk.unlink(path);
  return undefined;
}
