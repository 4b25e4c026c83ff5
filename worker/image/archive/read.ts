/** Reads archives as streams: what compression they have, and a tar's entries one by one. */
import { Readable, pipeline, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import { isProgramName, throughProgram, type ProgramName } from './decompress.ts';

type Compression = 'none' | OwnCompression;
type OwnCompression = 'gzip' | 'zstd';

/** Enough to tell every compression that we know of. */
const magicBytes = 6;
const magics: readonly { name: OwnCompression | ProgramName; bytes: readonly number[] }[] = [
  { name: 'gzip', bytes: [0x1f, 0x8b] },
  { name: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'bzip2', bytes: [0x42, 0x5a, 0x68] },
  { name: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
];

/**
 * The compression, and the same bytes again. What no layer may have, and a host's program has to
 * undo, is undone here: such an archive is as good as one without any compression.
 */
export async function detectCompression(
  source: AsyncIterable<Uint8Array>,
): Promise<{ compression: Compression; bytes: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let size = 0;
  while (size < magicBytes) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    head.push(value);
    size += value.length;
  }
  const start = Buffer.concat(head);
  const name = magics.find(({ bytes }) => bytes.every((byte, at) => start[at] === byte))?.name;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      if (start.length > 0) yield start;
      for (;;) {
        const { value, done } = await iterator.next();
        if (done === true) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  if (isProgramName(name)) return { compression: 'none', bytes: throughProgram(name, bytes()) };
  return { compression: name ?? 'none', bytes: bytes() };
}

export interface ArchiveEntry {
  /** Without a leading "./" or "/". */
  readonly path: string;
  readonly type: NonNullable<Header['type']>;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeMs: number;
  /** Of symbolic and hard links, as written. */
  readonly linkTarget: string;
  /** To be read to its end, or left alone, before the next entry is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** The entries of a tar, also of a compressed one. Throws `invalid-argument` for what is no tar. */
export async function* readArchive(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<ArchiveEntry> {
  const { compression, bytes } = await detectCompression(source);
  const plain = compression === 'none' ? bytes : decompressed(bytes, compression);
  const extractor = extract();
  // Whoever reads an entry learns only that it ended early; the reason is told here.
  let fault: unknown;
  extractor.on('error', (reason) => (fault ??= reason));
  const fed = feed(plain, extractor);
  try {
    for await (const entry of extractor) {
      const { name, type, size, linkname, mode, uid, gid, mtime } = entry.header;
      yield {
        path: name.replace(/^(?:\.?\/)+/, ''),
        type: type ?? 'file',
        sizeBytes: size ?? 0,
        mode: mode ?? 0o644,
        uid: uid ?? 0,
        gid: gid ?? 0,
        mtimeMs: mtime?.getTime() ?? 0,
        linkTarget: linkname ?? '',
        content: contentOf(entry as AsyncIterable<Uint8Array>, () => fault),
      };
      entry.resume();
    }
  } catch (thrown) {
    throw unreadable(fault ?? thrown);
  } finally {
    extractor.destroy(null);
    await fed;
  }
}

async function* contentOf(
  entry: AsyncIterable<Uint8Array>,
  fault: () => unknown,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of entry) yield chunk;
  } catch (thrown) {
    throw unreadable(fault() ?? thrown);
  }
}

function unreadable(reason: unknown): SwarmError {
  if (reason instanceof SwarmError) return reason;
  const message = `the archive cannot be read: ${messageOf(reason)}`;
  return new SwarmError('invalid-argument', message, { cause: reason });
}

async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  compression: OwnCompression,
): AsyncGenerator<Uint8Array> {
  const transform: Transform = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  // What goes wrong destroys the transform, so that reading it below throws the reason.
  pipeline(Readable.from(source), transform, () => undefined);
  yield* transform as AsyncIterable<Uint8Array>;
}

/** Hands the bytes on as fast as they are taken; what goes wrong, the extractor's reader throws. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  extractor: ReturnType<typeof extract>,
): Promise<void> {
  try {
    for await (const chunk of source) {
      if (extractor.destroyed) return;
      if (!extractor.write(chunk)) await drained(extractor);
    }
    extractor.end(null);
  } catch (thrown) {
    extractor.destroy(thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
  }
}

function drained(extractor: ReturnType<typeof extract>): Promise<void> {
  return new Promise((resolve) => {
    if (extractor.destroyed) resolve();
    else {
      const done = () => {
        extractor.off('drain', done);
        extractor.off('close', done);
        resolve();
      };
      extractor.on('drain', done);
      extractor.on('close', done);
    }
  });
}
