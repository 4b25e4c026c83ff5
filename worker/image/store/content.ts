/** containerd's content store: blobs by digest, written in bounded chunks and read back. */
import { createHash } from 'node:crypto';
import { SwarmError } from '../../../lib/errors.ts';
import { leaseMetadata, type ContainerdClient } from '../../runtime/containerd/client.ts';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { WriteAction, type WriteContentRequestSchema } from '../../../gen/containerd/content_pb.js';
import type { Clock } from '../../../lib/clock.ts';

interface BlobInfo {
  readonly digest: string;
  readonly size: number;
  readonly labels: Readonly<Record<string, string>>;
}

interface BlobWrite {
  /** Names the upload: it has one writer at a time, and may go on under this name later. */
  readonly ref: string;
  readonly leaseId: string;
  /** With both, a blob that is there already is not written again, and the upload is verified. */
  readonly digest?: string;
  readonly size?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Chunks are gathered to this size: each costs a round trip to containerd. */
const chunkBytes = 256 * 1024;
/** Chunks under way to containerd. Times `chunkBytes`, it bounds the memory of an upload. */
const maxUnanswered = 4;
const lockPauseMs = 50;
/** containerd takes labels of up to 4096 characters; a path has at most 255. */
const maxSources = 8;
const maxLockTries = 100;

export class ContentStore {
  readonly #client: ContainerdClient;
  readonly #clock: Clock;

  constructor(client: ContainerdClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async info(digest: string): Promise<BlobInfo | undefined> {
    try {
      const { info } = await this.#client.content.info({ digest });
      if (info === undefined) return undefined;
      return { digest: info.digest, size: Number(info.size), labels: info.labels };
    } catch (thrown) {
      if (thrown instanceof SwarmError && thrown.code === 'not-found') return undefined;
      throw thrown;
    }
  }

  /** A small blob as a whole. Throws `not-found`, or `failed-precondition` over `maxBytes`. */
  async read(digest: string, maxBytes: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const data of this.chunks(digest)) {
      size += data.length;
      if (size > maxBytes) {
        const message = `the blob ${digest} is longer than ${maxBytes} bytes`;
        throw new SwarmError('failed-precondition', message);
      }
      parts.push(data);
    }
    return Buffer.concat(parts);
  }

  async *chunks(digest: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const options = signal === undefined ? {} : { signal };
    for await (const { data } of this.#client.content.read({ digest }, options)) yield data;
  }

  async setLabels(digest: string, labels: Readonly<Record<string, string>>): Promise<void> {
    if (Object.keys(labels).length === 0) return;
    const paths = Object.keys(labels).map((key) => `labels.${key}`);
    await this.#client.content.update({ info: { digest, labels }, updateMask: { paths } });
  }

  /** One that is not there is not an error. */
  async delete(digest: string): Promise<void> {
    try {
      await this.#client.content.delete({ digest });
    } catch (thrown) {
      if (!(thrown instanceof SwarmError && thrown.code === 'not-found')) throw thrown;
    }
  }

  /** Repositories of the registry `domain` that the blob is known to be in, the newest last. */
  async sources(digest: string, domain: string): Promise<readonly string[]> {
    const { labels = {} } = (await this.info(digest)) ?? {};
    return (labels[sourceLabel(domain)] ?? '').split(',').filter((path) => path !== '');
  }

  async addSource(digest: string, { domain, path }: { domain: string; path: string }) {
    const known = await this.sources(digest, domain);
    if (known.includes(path)) return;
    const paths = [...known, path].slice(-maxSources);
    await this.setLabels(digest, { [sourceLabel(domain)]: paths.join(',') });
  }

  /**
   * Writes a blob from `source`, which is asked for the bytes from an offset on: that of an upload
   * which broke off, else 0. Nothing is written, and the labels are set, when the blob is there.
   * What turns out to be wrong is thrown away; what broke off is kept for the next try.
   */
  async write(
    write: BlobWrite,
    source: (offset: number) => AsyncIterable<Uint8Array>,
  ): Promise<{ digest: string; size: number }> {
    try {
      return await this.#upload(write, source);
    } catch (thrown) {
      const code = SwarmError.from(thrown).code;
      if (code === 'already-exists' && write.digest !== undefined) {
        if (write.labels !== undefined) await this.setLabels(write.digest, write.labels);
        const size = write.size ?? (await this.info(write.digest))?.size ?? 0;
        return { digest: write.digest, size };
      }
      if (code === 'failed-precondition') await this.abort(write.ref);
      throw thrown;
    }
  }

  /** Throws an upload's bytes away. One that does not exist is not an error. */
  async abort(ref: string): Promise<void> {
    try {
      await this.#client.content.abort({ ref });
    } catch (thrown) {
      if (!(thrown instanceof SwarmError && thrown.code === 'not-found')) throw thrown;
    }
  }

  async #upload(
    write: BlobWrite,
    source: (offset: number) => AsyncIterable<Uint8Array>,
  ): Promise<{ digest: string; size: number }> {
    const { ref, digest = '', labels = {} } = write;
    // Only a new upload goes without a digest: its bytes are all seen here.
    const hash = digest === '' ? createHash('sha256') : undefined;
    const upload = await this.#open(write);
    try {
      let { offset } = upload;
      let unanswered = 0;
      for await (const data of gathered(source(offset))) {
        await upload.send({ action: WriteAction.WRITE, ref, offset: BigInt(offset), data });
        hash?.update(data);
        offset += data.length;
        unanswered += 1;
        for (; unanswered > maxUnanswered; unanswered -= 1) await upload.reply();
      }
      for (; unanswered > 0; unanswered -= 1) await upload.reply();
      const total = BigInt(offset);
      const expected = hash === undefined ? digest : `sha256:${hash.digest('hex')}`;
      const commit = { ref, total, offset: total, expected, labels };
      await upload.send({ ...commit, action: WriteAction.COMMIT });
      await answered(upload.reply());
      return { digest: expected, size: offset };
    } finally {
      await upload.close();
    }
  }

  /** A writer that has just been given up may hold the upload's name for a moment longer. */
  async #open(write: BlobWrite): Promise<Upload> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#tryOpen(write);
      } catch (thrown) {
        const { code, message } = SwarmError.from(thrown);
        const locked = code === 'unavailable' && message.includes('locked');
        if (!locked || tries === maxLockTries) throw thrown;
        await this.#clock.sleep(lockPauseMs, write.signal === undefined ? {} : write);
      }
    }
  }

  async #tryOpen({ ref, digest = '', size = 0, leaseId, signal }: BlobWrite): Promise<Upload> {
    const stream = this.#client.content.write({
      metadata: leaseMetadata(leaseId),
      ...(signal === undefined ? {} : { signal }),
    });
    const replies = stream[Symbol.asyncIterator]();
    const reply = async () => {
      const { value, done } = await replies.next();
      if (done === true) throw new SwarmError('unavailable', 'containerd ended the upload early');
      return value;
    };
    const send: Upload['send'] = async (message) => {
      try {
        await stream.write(message);
      } catch {
        // A call that has ended takes no more; why it ended is what reading from it tells.
        for (;;) await reply();
      }
    };
    const close = async () => {
      stream.end();
      // containerd ends the call when it has let go of the upload: only then can another begin,
      // or this one be thrown away. How it ends, who awaited a reply knows already.
      await Promise.allSettled([drain(replies)]);
    };
    try {
      await send({ ref, total: BigInt(size), expected: digest, action: WriteAction.STAT });
      return { offset: Number((await reply()).offset), send, reply, close };
    } catch (thrown) {
      await close();
      throw thrown;
    }
  }
}

/** containerd's own label: other programs on the same store write and read it too. */
function sourceLabel(domain: string): string {
  return `containerd.io/distribution.source.${domain}`;
}

interface Upload {
  /** What containerd holds of it already. */
  readonly offset: number;
  send(message: MessageInitShape<typeof WriteContentRequestSchema>): Promise<void>;
  reply(): Promise<unknown>;
  close(): Promise<void>;
}

async function drain(replies: AsyncIterator<unknown>): Promise<void> {
  while ((await replies.next()).done !== true);
}

/** That the blob came in by another way meanwhile is as good as having written it. */
async function answered(commit: Promise<unknown>): Promise<void> {
  try {
    await commit;
  } catch (thrown) {
    if (!(thrown instanceof SwarmError && thrown.code === 'already-exists')) throw thrown;
  }
}

/**
 * The same bytes in chunks of `chunkBytes`, all in one piece of memory: a chunk is valid until the
 * next one is asked for. Fresh memory for each would keep the garbage collector busy.
 */
async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let filled = 0;
  for await (const part of source) {
    for (let start = 0; start < part.length;) {
      const taken = Math.min(part.length - start, chunkBytes - filled);
      chunk.set(part.subarray(start, start + taken), filled);
      start += taken;
      filled += taken;
      if (filled === chunkBytes) {
        yield chunk;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}
