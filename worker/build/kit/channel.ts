/**
 * gRPC in the other direction: this daemon is the client of whoever opened the connection. The
 * library that serves the rest of the daemon opens its connections itself.
 */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { SwarmError } from '../../../lib/errors.ts';
import { codeOfStatus } from '../../../lib/grpc/index.ts';

/** Those of BuildKit's clients are 4 MiB at most. */
const maxMessageBytes = 16 * 1024 * 1024;
const prefixBytes = 5;
/** What a client may send before it is read: of one call, and of all together. */
const streamWindowBytes = 1024 * 1024;
const windowBytes = 8 * 1024 * 1024;

type Metadata = Readonly<Record<string, string | string[]>>;

interface CallOptions {
  readonly signal: AbortSignal;
  readonly metadata?: Metadata;
}

export class Channel implements Disposable {
  /** Resolves once the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;
  #reason = 'the client of the build has closed its session';

  constructor(socket: Duplex) {
    this.#session = connect('http://session', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes },
    });
    this.#session.once('connect', () => {
      // Whoever was faster has ended it already.
      if (!this.#session.destroyed) this.#session.setLocalWindowSize(windowBytes);
    });
    this.#session.on('error', (error) => {
      this.#reason = `the session of the build broke off: ${error.message}`;
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#session.once('close', () => {
      socket.destroy();
      resolve();
    });
  }

  /** One message there, and one back. Throws what the client answers, by its code. */
  async ask(method: string, message: Uint8Array, options: CallOptions): Promise<Buffer> {
    const call = this.open(method, options);
    await call.send(message);
    call.end();
    let answer: Buffer | undefined;
    for await (const one of call.messages()) answer ??= one;
    return answer ?? Buffer.alloc(0);
  }

  /** A call whose messages go both ways. */
  open(method: string, { signal, metadata = {} }: CallOptions): Call {
    signal.throwIfAborted();
    if (this.#session.closed || this.#session.destroyed) {
      throw new SwarmError('unavailable', this.#reason);
    }
    const stream = this.#session.request(
      {
        ':method': 'POST',
        ':path': method,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...metadata,
      },
      { endStream: false },
    );
    return new Call(stream, signal, () => this.#reason);
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

export class Call {
  readonly #stream: ClientHttp2Stream;
  readonly #signal: AbortSignal;
  readonly #reason: () => string;
  readonly #ended: Promise<void>;
  #status: string | undefined;
  #message = '';

  constructor(stream: ClientHttp2Stream, signal: AbortSignal, reason: () => string) {
    this.#stream = stream;
    this.#signal = signal;
    this.#reason = reason;
    const note = (headers: Readonly<Record<string, unknown>>) => {
      const { 'grpc-status': status, 'grpc-message': message } = headers;
      if (typeof status === 'string') this.#status = status;
      if (typeof message === 'string') this.#message = decoded(message);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    // What it says is known as the status, or as the reason of the whole connection.
    stream.on('error', () => undefined);
    const onAbort = () => stream.close(constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', onAbort, { once: true });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    stream.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
  }

  /** Waits until there is room for more. A call that has ended takes no more. */
  async send(message: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return;
    const frame = Buffer.allocUnsafe(prefixBytes + message.length);
    frame.writeUInt8(0, 0);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, prefixBytes);
    if (stream.write(frame)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const settle = () => {
      stream.off('drain', settle);
      stream.off('close', settle);
      resolve();
    };
    stream.once('drain', settle);
    stream.once('close', settle);
    await promise;
  }

  /** Says that no more will be sent. */
  end(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  /** Breaks the call off. */
  cancel(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** What comes back, read as fast as it is taken. Throws what the client ends the call with. */
  async *messages(): AsyncGenerator<Buffer> {
    let rest: Buffer = Buffer.alloc(0);
    try {
      for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) {
        rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
        for (;;) {
          const message = firstOf(rest);
          if (message === undefined) break;
          rest = rest.subarray(prefixBytes + message.length);
          yield message;
        }
      }
    } catch (thrown) {
      if (thrown instanceof SwarmError) {
        this.cancel();
        throw thrown;
      }
      // A broken stream: the end of the call tells why.
    }
    await this.#over();
  }

  async #over(): Promise<void> {
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.end();
    await this.#ended;
    this.#signal.throwIfAborted();
    if (this.#status === '0') return;
    if (this.#status === undefined) throw new SwarmError('unavailable', this.#reason());
    throw new SwarmError(codeOfStatus(Number(this.#status)), this.#message);
  }
}

/** The first whole message, without its prefix; undefined where none is whole yet. */
function firstOf(bytes: Buffer): Buffer | undefined {
  if (bytes.length < prefixBytes) return undefined;
  const length = bytes.readUInt32BE(1);
  if (bytes.readUInt8(0) !== 0 || length > maxMessageBytes) {
    throw new SwarmError(
      'invalid-argument',
      `the client of the build sent a message that is compressed, or larger than ${maxMessageBytes} bytes`,
    );
  }
  return bytes.length < prefixBytes + length
    ? undefined
    : bytes.subarray(prefixBytes, prefixBytes + length);
}

/** gRPC's messages are percent-encoded; one that is not so stays as it is. */
function decoded(text: string): string {
  return text.replaceAll(/(%[0-9A-Fa-f]{2})+/g, (part) =>
    Buffer.from(part.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}
