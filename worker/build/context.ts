/** The files that a build may use: unpacked from the client's tar, and kept in their folder. */
import { spawn } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { errnoOf, SwarmError } from '../../lib/errors.ts';
import { detectCompression } from '../image/archive/read.ts';

export const maxDockerfileBytes = 4 * 1024 * 1024;
const maxComplaintBytes = 4096;
const blockBytes = 512;
const tarHasEnded: readonly string[] = ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'];

/** Throws `invalid-argument` for what is no tar. */
export async function unpackTar(
  source: AsyncIterable<Uint8Array>,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const { compression, bytes } = await detectCompression(source);
  // tar itself sees to it that nothing is written outside of the folder, by no name and no link.
  const child = spawn('tar', ['-x', '-f', '-', '-C', folder, '--no-same-owner'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text.slice(0, Math.max(0, maxComplaintBytes - complaint.length));
  });
  // Told of both ways to end, and never a rejection: while the client still sends, nobody waits.
  let failure: Error | undefined;
  const { promise: closed, resolve } = Promise.withResolvers<number | null>();
  child.once('close', resolve);
  child.once('error', (error) => {
    failure = error;
    if (child.pid === undefined) resolve(null);
  });
  try {
    const input = Readable.from(bytes);
    if (compression === 'none') await pipeline(input, wholeBlocks, child.stdin, { signal });
    else {
      const plain = compression === 'gzip' ? createGunzip() : createZstdDecompress();
      await pipeline(input, plain, wholeBlocks, child.stdin, { signal });
    }
  } catch (thrown) {
    // tar says better than a broken pipe what is wrong, and leaves padding unread.
    if (signal.aborted || !tarHasEnded.includes(errnoOf(thrown) ?? '')) {
      child.kill('SIGKILL');
      // The folder is about to go: nothing may be written to it any more.
      await closed;
      signal.throwIfAborted();
      const { message } = SwarmError.from(thrown);
      throw new SwarmError('invalid-argument', `the build context cannot be read: ${message}`, {
        cause: thrown,
      });
    }
  }
  const code = await closed;
  signal.throwIfAborted();
  if (failure !== undefined) {
    const message = `the build context cannot be unpacked: ${failure.message}`;
    throw new SwarmError('unavailable', message, { cause: failure });
  }
  if (code === 0) return;
  const [first = `tar ended with status ${code}`] = complaint.trim().split('\n');
  throw new SwarmError('invalid-argument', `the build context cannot be unpacked: ${first}`);
}

/** With --file=-, docker's CLI leaves the last block of its tar unfinished. */
async function* wholeBlocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    yield chunk;
  }
  const over = length % blockBytes;
  if (over > 0) yield Buffer.alloc(blockBytes - over);
}

/** Throws `invalid-argument` in Docker's words where it is missing or not in the context. */
export async function dockerfileIn(
  context: string,
  name: string,
): Promise<{ readonly path: string; readonly text: string }> {
  const path = join(context, normalize(`/${name}`));
  try {
    const real = await realpath(path);
    if (!real.startsWith((await realpath(context)) + sep)) throw forbidden(name);
    const text = await readFile(real, 'utf8');
    if (text.length > maxDockerfileBytes) {
      throw new SwarmError('invalid-argument', `the Dockerfile (${name}) is too long`);
    }
    return { path: real, text };
  } catch (thrown) {
    if (thrown instanceof SwarmError) throw thrown;
    throw new SwarmError('invalid-argument', `Cannot locate specified Dockerfile: ${name}`, {
      cause: thrown,
    });
  }
}

function forbidden(name: string): SwarmError {
  return new SwarmError('invalid-argument', `Forbidden path outside the build context: ${name}`);
}
