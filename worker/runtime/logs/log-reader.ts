/** Reads a log across its rotated files: from the start or the tail, to the end or for ever. */
import { open, stat, type FileHandle } from 'node:fs/promises';
import { errnoOf } from '../../../lib/errors.ts';
import type { LogLine, LogQuery } from '../runtime.ts';
import { decodeEntry } from './json-lines.ts';
import type { LogFile } from './log-file.ts';

const blockBytes = 64 * 1024;
const newline = 0x0a;

interface Position {
  readonly path: string;
  readonly offset: number;
}

interface Opened {
  readonly handle: FileHandle;
  readonly offset: number;
}

const triesMax = 8;

/** Ends at the log's end or, when following, when the log has ended or the signal aborts. */
export async function* readLog(
  log: LogFile,
  query: LogQuery,
  signal?: AbortSignal,
): AsyncGenerator<LogLine> {
  const sinceNs = BigInt(Math.floor((query.sinceMs ?? 0) * 1e6));
  const untilNs = query.untilMs === undefined ? undefined : BigInt(Math.floor(query.untilMs * 1e6));
  const wanted = (line: LogLine) =>
    (line.stream === 'stdout' ? query.stdout : query.stderr) &&
    line.timeNs >= sinceNs &&
    (untilNs === undefined || line.timeNs <= untilNs);
  const { tail } = query;
  const first = tail === undefined ? oldest : () => tailStart(log, tail, wanted);
  const start = await opened(log, first, signal);
  for await (const line of forward(log, start, query.follow, signal)) {
    if (untilNs !== undefined && line.timeNs > untilNs) return;
    if (wanted(line)) yield line;
  }
}

async function* forward(
  log: LogFile,
  start: Opened | undefined,
  follow: boolean,
  signal?: AbortSignal,
): AsyncGenerator<LogLine> {
  let found = start;
  while (found === undefined) {
    if (!follow || log.ended) return;
    const { version } = log;
    found = await opened(log, oldest, signal);
    if (found === undefined) await log.changedSince(version, signal);
  }
  let { handle } = found;
  let next: Opened | undefined;
  try {
    let reader = new BlockReader(handle, found.offset);
    for (;;) {
      signal?.throwIfAborted();
      // Looked up before the last read, so that what is written in between is not missed.
      const { version, ended } = log;
      const present = handle;
      next = await opened(log, () => successor(log, present), signal);
      yield* reader.lines();
      if (next !== undefined) {
        await handle.close();
        ({ handle } = next);
        reader = new BlockReader(handle, next.offset);
        next = undefined;
      } else if (!follow || ended) {
        return;
      } else {
        await log.changedSince(version, signal);
      }
    }
  } finally {
    await handle.close();
    await next?.handle.close();
  }
}

class BlockReader {
  readonly #handle: FileHandle;
  #offset: number;
  #rest = Buffer.alloc(0);

  constructor(handle: FileHandle, offset: number) {
    this.#handle = handle;
    this.#offset = offset;
  }

  /** Entries up to the present end of the file. An unfinished one is kept for the next call. */
  async *lines(): AsyncGenerator<LogLine> {
    const block = Buffer.alloc(blockBytes);
    for (;;) {
      const { bytesRead } = await this.#handle.read(block, 0, blockBytes, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      const bytes = Buffer.concat([this.#rest, block.subarray(0, bytesRead)]);
      let start = 0;
      for (;;) {
        const end = bytes.indexOf(newline, start);
        if (end < 0) break;
        const line = decodeEntry(bytes.subarray(start, end));
        start = end + 1;
        if (line !== undefined) yield line;
      }
      this.#rest = Buffer.from(bytes.subarray(start));
    }
  }
}

/**
 * Opens what `find` finds, before the file gets another name. Somebody whose writer rotates faster
 * than files can be looked at has lost lines in any case, and goes on with what is there.
 */
async function opened(
  log: LogFile,
  find: (log: LogFile) => Promise<Position | undefined>,
  signal: AbortSignal | undefined,
): Promise<Opened | undefined> {
  for (let tries = 1; ; tries++) {
    await log.rested(signal);
    const { rotations } = log;
    const position = await find(log);
    const handle = position && (await openIfThere(position.path));
    if (log.rotations === rotations || tries === triesMax) {
      return position && handle && { handle, offset: position.offset };
    }
    await handle?.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function oldest(log: LogFile): Promise<Position | undefined> {
  for (const path of log.paths().toReversed()) {
    if ((await inode(path)) !== undefined) return { path, offset: 0 };
  }
  return undefined;
}

/** The file written after this one, once there is one. */
async function successor(log: LogFile, handle: FileHandle): Promise<Position | undefined> {
  const { ino } = await handle.stat();
  const paths = log.paths();
  const inodes = await Promise.all(paths.map(inode));
  const at = inodes.indexOf(ino);
  if (at === 0) return undefined;
  if (at > 0) return inodes[at - 1] === undefined ? undefined : begin(paths[at - 1]);
  // Rotated away while it was read: what lay between is gone, go on with the oldest there is.
  const last = inodes.findLastIndex((found) => found !== undefined);
  return begin(paths[last]);
}

function begin(path: string | undefined): Position | undefined {
  return path === undefined ? undefined : { path, offset: 0 };
}

async function inode(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where the last `count` wanted lines begin. */
async function tailStart(
  log: LogFile,
  count: number,
  wanted: (line: LogLine) => boolean,
): Promise<Position | undefined> {
  let found = 0;
  let last: Position | undefined;
  for (const path of log.paths()) {
    if ((await inode(path)) === undefined) continue;
    await using handle = await open(path, 'r');
    const { size } = await handle.stat();
    last ??= { path, offset: size };
    if (count === 0) return last;
    for await (const { offset, bytes } of backward(handle, size)) {
      const line = decodeEntry(bytes);
      if (line === undefined || !wanted(line)) continue;
      last = { path, offset };
      if (++found === count) return last;
    }
  }
  return last;
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
