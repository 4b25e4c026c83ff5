/**
 * A segment on disk: a header, then records one after another, then zeros.
 *
 * Record, little-endian, its end padded with zeros to a multiple of 8:
 *
 *      0  u32  checksum of bytes 4 to 39, seeded with the segment's
 *      4  u32  length of the payload
 *      8  u32  checksum of the payload
 *     12  u32  checksum of the record before: the chain
 *     16  u64  index
 *     24  u64  term
 *     32  u32  durable: all of the segment before this byte was durable when this was written
 *     36  u8   kind
 *     37  u8   type, the user's own
 *     38  u16  mark
 *     40       payload
 *     ..  u8   end mark
 *
 * The marks are not zero, so that what a torn write left out (zeros, in a file that was filled with
 * zeros) can be told from bytes that changed after they were written. `durable` tells whether a
 * damaged record had been acknowledged: it had, if a later record was written after it was durable.
 */
import { crc32 } from 'node:zlib';
import { otherFormat } from './errors.ts';

const recordKinds = { entry: 1, state: 2, restart: 3, seal: 4 } as const;
type RecordKind = keyof typeof recordKinds;

export interface LogRecord {
  readonly kind: RecordKind;
  readonly index: number;
  readonly term: number;
  readonly type: number;
  readonly payload: Uint8Array;
}

export interface SegmentHeader {
  readonly sequence: number;
  /** The index that is expected of the first entry. */
  readonly firstIndex: number;
  /** Where the segment before ended, and its last checksum. */
  readonly previousEnd: number;
  readonly previousChecksum: number;
  /** The key that its records' payloads are encrypted with: 16 hex digits, zeros for none. */
  readonly keyId: string;
}

export const segmentHeaderBytes = 64;
export const recordHeaderBytes = 40;
const alignment = 8;
/** What a disk writes whole or not at all. */
export const sectorBytes = 512;

const recordMark = 0xa55a;
const endMark = 0x5a;
const segmentMark = 0x4c53_5452;
const formatVersion = 2;
const two32 = 2 ** 32;
const kindOf = new Map<number, RecordKind>(
  Object.entries(recordKinds).map(([name, number]) => [number, name as RecordKind]),
);

/** Bytes that a record takes. */
export function recordBytes(payloadLength: number): number {
  const bytes = recordHeaderBytes + payloadLength + 1;
  return Math.ceil(bytes / alignment) * alignment;
}

/** Writes the record and returns its checksum, which the next one carries on. */
export function encodeRecord(
  out: Buffer,
  at: number,
  record: LogRecord,
  context: { seed: number; previous: number; durable: number },
): number {
  const { payload } = record;
  out.writeUInt32LE(payload.length, at + 4);
  out.writeUInt32LE(crc32(payload), at + 8);
  out.writeUInt32LE(context.previous, at + 12);
  writeUInt64(out, record.index, at + 16);
  writeUInt64(out, record.term, at + 24);
  out.writeUInt32LE(context.durable, at + 32);
  out.writeUInt8(recordKinds[record.kind], at + 36);
  out.writeUInt8(record.type, at + 37);
  out.writeUInt16LE(recordMark, at + 38);
  out.set(payload, at + recordHeaderBytes);
  const end = at + recordHeaderBytes + payload.length;
  out.writeUInt8(endMark, end);
  out.fill(0, end + 1, at + recordBytes(payload.length));
  const checksum = crc32(out.subarray(at + 4, at + recordHeaderBytes), context.seed);
  out.writeUInt32LE(checksum, at);
  return checksum;
}

export interface FoundRecord extends LogRecord {
  readonly checksum: number;
  readonly previous: number;
  readonly durable: number;
  /** With the padding. */
  readonly bytes: number;
}

/** A record that is whole in itself; whether it belongs in the chain is for the caller to see. */
export function decodeRecord(bytes: Buffer, at: number, seed: number): FoundRecord | undefined {
  if (!hasHeader(bytes, at, seed)) return undefined;
  const kind = kindOf.get(bytes.readUInt8(at + 36));
  const length = bytes.readUInt32LE(at + 4);
  const start = at + recordHeaderBytes;
  if (kind === undefined || at + recordBytes(length) > bytes.length) return undefined;
  const payload = bytes.subarray(start, start + length);
  if (crc32(payload) !== bytes.readUInt32LE(at + 8)) return undefined;
  if (bytes.readUInt8(start + length) !== endMark) return undefined;
  return {
    kind,
    index: readUInt64(bytes, at + 16),
    term: readUInt64(bytes, at + 24),
    type: bytes.readUInt8(at + 37),
    payload,
    checksum: bytes.readUInt32LE(at),
    previous: bytes.readUInt32LE(at + 12),
    durable: bytes.readUInt32LE(at + 32),
    bytes: recordBytes(length),
  };
}

/**
 * The record at `at`, which is not whole, looks like a write that was cut short: what is not there
 * is zeros, from some byte on or by whole sectors.
 */
export function looksTorn(bytes: Buffer, at: number, seed: number): boolean {
  if (!hasHeader(bytes, at, seed)) {
    const headerEnd = Math.min(at + recordHeaderBytes, bytes.length);
    if (hasZeroSector(bytes, at, headerEnd)) return true;
    const sectorEnd = Math.ceil(headerEnd / sectorBytes) * sectorBytes;
    return isZero(bytes, headerEnd - 1, Math.min(sectorEnd, bytes.length));
  }
  const start = at + recordHeaderBytes;
  const end = start + bytes.readUInt32LE(at + 4);
  return end >= bytes.length || bytes[end] === 0 || hasZeroSector(bytes, start, end + 1);
}

export function isZero(bytes: Buffer, from: number, to: number): boolean {
  const block = zeros.length;
  for (let at = from; at < to; at += block) {
    const end = Math.min(at + block, to);
    if (bytes.compare(zeros, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

/** A marker that costs little to look for, before a checksum is computed. */
export function mayBeRecord(bytes: Buffer, at: number): boolean {
  return at + recordHeaderBytes <= bytes.length && bytes.readUInt16LE(at + 38) === recordMark;
}

export function encodeSegmentHeader(out: Buffer, header: SegmentHeader): number {
  out.fill(0, 0, segmentHeaderBytes);
  out.writeUInt32LE(segmentMark, 4);
  out.writeUInt32LE(formatVersion, 8);
  writeUInt64(out, header.sequence, 16);
  writeUInt64(out, header.firstIndex, 24);
  out.writeUInt32LE(header.previousEnd, 32);
  out.writeUInt32LE(header.previousChecksum, 36);
  out.write(header.keyId, 40, 8, 'hex');
  const checksum = crc32(out.subarray(4, segmentHeaderBytes));
  out.writeUInt32LE(checksum, 0);
  return checksum;
}

/** The header and its checksum: the seed of the segment's records. A string says what is wrong. */
export function decodeSegmentHeader(
  bytes: Buffer,
): (SegmentHeader & { readonly checksum: number }) | string {
  if (bytes.length < segmentHeaderBytes) return 'the file is too short';
  const checksum = crc32(bytes.subarray(4, segmentHeaderBytes));
  if (bytes.readUInt32LE(0) !== checksum) return "the header's checksum does not match";
  if (bytes.readUInt32LE(4) !== segmentMark) return 'it is not a log segment';
  const version = bytes.readUInt32LE(8);
  if (version !== formatVersion) return otherFormat(version, formatVersion);
  return {
    sequence: readUInt64(bytes, 16),
    firstIndex: readUInt64(bytes, 24),
    previousEnd: bytes.readUInt32LE(32),
    previousChecksum: bytes.readUInt32LE(36),
    keyId: bytes.toString('hex', 40, 48),
    checksum,
  };
}

export function writeUInt64(out: Buffer, value: number, at: number): void {
  out.writeUInt32LE(value % two32, at);
  out.writeUInt32LE(Math.floor(value / two32), at + 4);
}

export function readUInt64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * two32 + bytes.readUInt32LE(at);
}

const zeros = Buffer.alloc(1 << 16);

function hasHeader(bytes: Buffer, at: number, seed: number): boolean {
  if (at + recordHeaderBytes > bytes.length) return false;
  const checksum = crc32(bytes.subarray(at + 4, at + recordHeaderBytes), seed);
  return bytes.readUInt32LE(at) === checksum && mayBeRecord(bytes, at);
}

/** One of the sectors' parts within [from, to) is all zeros. */
function hasZeroSector(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to;) {
    const end = Math.min((Math.floor(at / sectorBytes) + 1) * sectorBytes, to);
    if (isZero(bytes, at, end)) return true;
    at = end;
  }
  return false;
}
