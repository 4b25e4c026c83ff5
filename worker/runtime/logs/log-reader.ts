/** Reads a log across its rotated files: from the start or the tail, to the end or for ever. */
import type { FileHandle } from 'node:fs/promises';
import type { LogLine, LogQuery } from '../runtime.ts';
import { decodeEntry } from './json-lines.ts';
import type { LogFile } from './log-file.ts';
import {
  begin,
  inode,
  oldest,
  openIfThere,
  sinceStart,
  tailStart,
  type Position,
} from './log-position.ts';

const blockBytes = 64 * 1024;
const newline = 0x0a;

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
  const first = () =>
    tail === undefined
      ? sinceStart(log, sinceNs)
      : tailStart(log, { count: tail, sinceNs, wanted });
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
