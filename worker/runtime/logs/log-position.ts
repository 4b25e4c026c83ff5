/**
 * Where in a log's rotated files reading begins. Entries stand in the order of their times, so what
 * is older than wanted need not be read. (Where the host's clock was set back, entries that say
 * they are newer than what follows them may be passed over.)
 */
import { open, stat, type FileHandle } from 'node:fs/promises';
import { errnoOf } from '../../../lib/errors.ts';
import type { LogLine } from '../runtime.ts';
import { decodeEntry } from './json-lines.ts';
import type { LogFile } from './log-file.ts';

const blockBytes = 64 * 1024;
const newline = 0x0a;

export interface Position {
  readonly path: string;
  readonly offset: number;
}

export async function oldest(log: LogFile): Promise<Position | undefined> {
  for (const path of log.paths().toReversed()) {
    if ((await inode(path)) !== undefined) return begin(path);
  }
  return undefined;
}

/**
 * At an entry before the first one of this time or a later one, or at that one itself; nearer than
 * 64 KiB and an entry.
 */
export async function sinceStart(log: LogFile, sinceNs: bigint): Promise<Position | undefined> {
  if (sinceNs <= 0n) return oldest(log);
  let later: Position | undefined;
  for (const path of log.paths()) {
    await using handle = await openIfThere(path);
    if (handle === undefined) continue;
    const { size } = await handle.stat();
    const first = await entryAfter(handle, 0, size);
    if (first !== undefined && first.timeNs < sinceNs) {
      return { path, offset: await offsetBefore(handle, size, sinceNs) };
    }
    later = begin(path);
  }
  return later;
}

interface Tail {
  readonly count: number;
  readonly sinceNs: bigint;
  readonly wanted: (line: LogLine) => boolean;
}

/** Where the last `count` wanted lines begin. */
export async function tailStart(log: LogFile, tail: Tail): Promise<Position | undefined> {
  const { count, sinceNs, wanted } = tail;
  let found = 0;
  let last: Position | undefined;
  for (const path of log.paths()) {
    await using handle = await openIfThere(path);
    if (handle === undefined) continue;
    const { size } = await handle.stat();
    last ??= { path, offset: size };
    if (count === 0) return last;
    for await (const { offset, bytes } of backward(handle, size)) {
      const line = decodeEntry(bytes);
      if (line === undefined) continue;
      if (line.timeNs < sinceNs) return last;
      if (!wanted(line)) continue;
      last = { path, offset };
      if (++found === count) return last;
    }
  }
  return last;
}

export async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function begin(path: string | undefined): Position | undefined {
  return path === undefined ? undefined : { path, offset: 0 };
}

export async function inode(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The beginning of an entry that is older than `sinceNs`, as the file's first one is. */
async function offsetBefore(handle: FileHandle, size: number, sinceNs: bigint): Promise<number> {
  let low = 0;
  let high = size;
  while (high - low > blockBytes) {
    const middle = Math.floor((low + high) / 2);
    const entry = await entryAfter(handle, middle, high);
    if (entry === undefined || entry.timeNs >= sinceNs) high = middle;
    else low = entry.offset;
  }
  return low;
}

/** The first whole entry that begins after `from`, or at 0, and before `end`. */
async function entryAfter(
  handle: FileHandle,
  from: number,
  end: number,
): Promise<{ offset: number; timeNs: bigint } | undefined> {
  let offset = from;
  let isWhole = from === 0;
  for await (const { start, bytes } of linesFrom(handle, from)) {
    offset = start;
    if (offset >= end) return undefined;
    const line = isWhole ? decodeEntry(bytes) : undefined;
    // What stands before the first line end may be the rest of an entry.
    isWhole = true;
    if (line !== undefined) return { offset, timeNs: line.timeNs };
  }
  return undefined;
}

/** The lines of a file that have an end. */
async function* linesFrom(
  handle: FileHandle,
  from: number,
): AsyncGenerator<{ start: number; bytes: Uint8Array }> {
  let rest = Buffer.alloc(0);
  let at = from;
  for (;;) {
    const block = Buffer.alloc(blockBytes);
    const { bytesRead } = await handle.read(block, 0, blockBytes, at + rest.length);
    if (bytesRead === 0) return;
    const bytes = Buffer.concat([rest, block.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      yield { start: at + start, bytes: bytes.subarray(start, end) };
      start = end + 1;
    }
    rest = bytes.subarray(start);
    at += start;
  }
}

/** The lines of a file, the last one first. */
async function* backward(
  handle: FileHandle,
  size: number,
): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
  let end = size;
  let rest = Buffer.alloc(0);
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const block = Buffer.alloc(end - start);
    await handle.read(block, 0, block.length, start);
    const bytes = Buffer.concat([block, rest]);
    let lineEnd = bytes.length;
    for (let at = lineEnd - 1; at >= 0; at--) {
      if (bytes[at] !== newline) continue;
      if (at + 1 < lineEnd)
        yield { offset: start + at + 1, bytes: bytes.subarray(at + 1, lineEnd) };
      lineEnd = at;
    }
    rest = Buffer.from(bytes.subarray(0, lineEnd));
    end = start;
  }
  if (rest.length > 0) yield { offset: 0, bytes: rest };
}
