/** A request whose body is long: sent as fast as it is taken, however long that takes. */
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Clock } from '../../../lib/clock.ts';
import { http } from '../../../lib/node-http.ts';

export interface Upload {
  readonly sizeBytes: number;
  /** From the beginning, as often as it is asked for. */
  content(): AsyncIterable<Uint8Array>;
}

interface UploadRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly upload: Upload;
  readonly signal?: AbortSignal;
}

export class TimeoutError extends Error {}

/** After the last byte, a registry may check and move gigabytes before it answers. */
const answerMs = 10 * 60_000;

/**
 * Resolves with the answer, which may come before the body is sent: then no more of it is. Rejects
 * when no byte is taken for `idleMs`, and with what `content` throws.
 */
export async function sendUpload(
  request: UploadRequest,
  agent: Agent,
  { clock, idleMs }: { clock: Clock; idleMs: number },
): Promise<IncomingMessage> {
  const { method, url, signal, upload } = request;
  const send = url.protocol === 'https:' ? https.request : http.request;
  const headers = { ...request.headers, 'content-length': String(upload.sizeBytes) };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = send(url, { method, headers, agent }, resolve);
  outgoing.on('error', reject);
  const onAbort = () => outgoing.destroy(signal?.reason as Error);
  signal?.addEventListener('abort', onAbort, { once: true });
  const late = (what: string) => () =>
    outgoing.destroy(new TimeoutError(`timeout awaiting ${what}`));
  let timer = clock.after(idleMs, late('the connection'));
  let isAnswered = false;
  let release = () => {};
  const feed = async () => {
    for await (const chunk of upload.content()) {
      if (isAnswered || outgoing.destroyed) return;
      timer.cancel();
      timer = clock.after(idleMs, late('the registry to take more of the body'));
      if (!outgoing.write(chunk)) await taken(outgoing, (now) => (release = now));
    }
    timer.cancel();
    if (isAnswered) return;
    timer = clock.after(answerMs, late('the answer to an upload'));
    outgoing.end();
  };
  const fed = feed().catch((thrown: unknown) => {
    outgoing.destroy();
    reject(thrown);
  });
  try {
    if (signal?.aborted) onAbort();
    const incoming = await promise;
    isAnswered = true;
    // What is left of the body has no reader: with the answer, the connection has served its time.
    incoming.once('close', () => outgoing.destroy());
    return incoming;
  } finally {
    isAnswered = true;
    timer.cancel();
    signal?.removeEventListener('abort', onAbort);
    release();
    await fed;
    timer.cancel();
  }
}

/** Resolves when there is room for more, the connection is gone, or `release` is called. */
function taken(outgoing: ClientRequest, onWait: (release: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    outgoing.on('drain', done);
    outgoing.on('close', done);
    onWait(done);
  });
}
