import type { Readable, Writable } from 'node:stream';
import type { SwarmError } from '../errors.ts';

/**
 * The messages of a stream, read only as fast as they are taken: flow control reaches back to the
 * sender. Leaving the loop early does not close the other direction. Throws the reason of `over`,
 * which a server has for each call, where the stream did not end but was broken off.
 */
export async function* messagesOf<T>(
  stream: Readable,
  translate: (thrown: unknown) => SwarmError,
  over?: AbortSignal,
): AsyncIterable<T> {
  try {
    for await (const message of stream.iterator({ destroyOnReturn: false })) yield message as T;
  } catch (error) {
    throw translate(error);
  }
  if (over === undefined) return;
  // To the reader, grpc-js ends a call that was broken off like one that is complete. It says which
  // it was later in the same turn of the event loop.
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  over.throwIfAborted();
}

/** Writes, and waits for room where there is none. Rejects with the reason once it is over. */
export async function writeTo(
  stream: Writable,
  message: unknown,
  over: AbortSignal,
): Promise<void> {
  over.throwIfAborted();
  if (stream.write(message)) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onOver = () => reject(over.reason as Error);
  stream.once('drain', resolve);
  over.addEventListener('abort', onOver, { once: true });
  try {
    await promise;
  } finally {
    stream.off('drain', resolve);
    over.removeEventListener('abort', onOver);
  }
}
