import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { linkAbort, withAbort } from '../lib/abort.ts';
import { SwarmError, messageOf } from '../lib/errors.ts';
import { peerName } from '../lib/peer.ts';
import { CodecError, type Codec } from '../types/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Json } from './convert/json.ts';
import {
  hijackResponse,
  hijackSocket,
  hijackWith,
  takeOver,
  writeTo,
  type Hijacked,
  type Upgrade,
} from './hijack.ts';
import { openWebSocket } from './websocket.ts';

/** A spec with every secret and label that anyone would write is far below this. */
const maxJsonBytes = 4 * 1024 * 1024;
/** How many objects of a list are written without a pause. */
const listPiece = 500;

interface ExchangeOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The part of the path that names things, by its name in the route. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The API version that the client speaks: N of 1.N. */
  readonly minor: number;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
  /** For the time that a client may go without reading; absent: for ever. */
  readonly clock?: Clock;
  /** The client asks to go on in another protocol. */
  readonly upgrade?: Upgrade;
}

/** One request and its answer. Its work is aborted when the client goes away. */
export class Exchange implements Disposable {
  readonly request: IncomingMessage;
  readonly query: URLSearchParams;
  readonly minor: number;
  readonly signal: AbortSignal;
  readonly #response: ServerResponse;
  readonly #params: Readonly<Record<string, string>>;
  readonly #controller: AbortController & Disposable;
  readonly #closing: AbortSignal;
  readonly #clock: Clock | undefined;
  readonly #upgrade: Upgrade | undefined;

  constructor(options: ExchangeOptions) {
    this.request = options.request;
    this.query = options.query;
    this.minor = options.minor;
    this.#response = options.response;
    this.#params = options.params;
    this.#closing = options.closing;
    this.#controller = linkAbort(options.closing);
    this.signal = this.#controller.signal;
    this.#clock = options.clock;
    this.#upgrade = options.upgrade;
    const connection = options.upgrade?.socket ?? options.response;
    connection.once('close', () => this.#controller.abort(gone()));
  }

  [Symbol.dispose](): void {
    this.#controller[Symbol.dispose]();
  }

  /** Who asks, as a part of a command's arguments; empty where nobody knows. */
  get asked(): { readonly user?: string } {
    const user = peerName(this.request.socket);
    return user === undefined ? {} : { user };
  }

  param(name: string): string {
    return this.#params[name] ?? '';
  }

  /** Docker's reading of a truth value: everything is true but these. */
  flag(name: string): boolean {
    const value = (this.query.get(name) ?? '').trim().toLowerCase();
    return !['', '0', 'no', 'false', 'none'].includes(value);
  }

  /** A version that an update is based on. Throws `invalid-argument`. */
  objectVersion(noun: string): number {
    const text = this.query.get('version') ?? '';
    if (!/^\d{1,15}$/.test(text)) {
      throw new SwarmError('invalid-argument', `invalid ${noun} version '${text}': not a number`);
    }
    return Number(text);
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  /** The server is closing, and the client did nothing wrong: an open stream simply ends. */
  get ending(): boolean {
    return this.#closing.aborted;
  }

  get clientGone(): boolean {
    const socket = this.#upgrade?.socket;
    return this.#response.destroyed || this.#response.closed || socket?.destroyed === true;
  }

  /** The client asks to go on in another protocol, and has not been answered yet. */
  get upgrade(): Upgrade | undefined {
    return this.#upgrade;
  }

  /** Ends HTTP on this connection: from here on it carries a container's streams. */
  hijack(contentType: string): Hijacked {
    return this.#upgrade === undefined
      ? hijackResponse(this.request, this.#response, contentType, this.#clock)
      : hijackSocket(this.#upgrade, contentType, this.#clock);
  }

  /** The same in frames of WebSocket. Throws `invalid-argument` where nobody asked for them. */
  webSocket({ asText }: { readonly asText: boolean }): Hijacked {
    return openWebSocket(this.request, this.#upgrade, { asText, clock: this.#clock });
  }

  /** Ends HTTP with another server's answer, and carries what follows it as it comes. */
  hijackWith(headers: Readonly<Record<string, string>>): Hijacked {
    if (this.#upgrade === undefined) throw new SwarmError('internal', 'nobody asked to upgrade');
    return hijackWith(this.#upgrade, headers, this.#clock);
  }

  /** Ends HTTP: the connection is the caller's, who goes on in this protocol. */
  takeOver(protocol: string): Duplex {
    if (this.#upgrade === undefined) throw new SwarmError('internal', 'nobody asked to upgrade');
    return takeOver(this.#upgrade, protocol);
  }

  header(name: string, value: string): void {
    this.#response.setHeader(name, value);
  }

  json(value: Json, status = 200): void {
    this.#response.writeHead(status, { 'Content-Type': 'application/json' });
    this.#response.end(`${JSON.stringify(value)}\n`);
  }

  /**
   * A list, written piece by piece: one of a hundred thousand objects must neither hold up the
   * daemon's other work nor fill its memory.
   */
  async jsonList<T>(items: readonly T[], convert: (item: T) => Json): Promise<void> {
    if (items.length <= listPiece) {
      this.json(items.map(convert));
      return;
    }
    this.begin('application/json');
    for (let start = 0; start < items.length; start += listPiece) {
      const piece = items
        .slice(start, start + listPiece)
        .map((item) => JSON.stringify(convert(item)));
      await this.write(`${start === 0 ? '[' : ','}${piece.join(',')}`);
      await setImmediate();
    }
    this.#response.end(']\n');
  }

  text(value: string, status = 200): void {
    this.#response.writeHead(status, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(value),
    });
    this.#response.end(this.request.method === 'HEAD' ? undefined : value);
  }

  /** Nothing to say but the status. */
  empty(status = 200): void {
    this.#response.writeHead(status, status === 204 ? {} : { 'Content-Length': '0' });
    this.#response.end();
  }

  /** Sends the headers now, so that the client knows that its stream has begun. */
  begin(contentType: string): void {
    this.#response.writeHead(200, { 'Content-Type': contentType });
    this.#response.flushHeaders();
  }

  /** The same for an answer that is another's, with the status that it has. */
  beginWith(status: number, contentType: string): void {
    this.#response.writeHead(status, contentType === '' ? {} : { 'Content-Type': contentType });
    this.#response.flushHeaders();
  }

  /**
   * Resolves when there is room for more: a slow client slows its producer down, and one that reads
   * nothing for long is cut off.
   */
  async write(chunk: string | Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    await withAbort(writeTo(this.#response, chunk, this.#clock), this.signal);
  }

  end(): void {
    this.#response.end();
  }

  /** The request's JSON, read as `codec` says. An empty body reads as an empty document. */
  async body<T>(codec: Codec<T>): Promise<T> {
    const contentType = this.request.headers['content-type'] ?? '';
    const text = await this.#bodyText();
    if (text === '') return decode(codec, {});
    const mediaType = contentType.split(';')[0]?.trim().toLowerCase();
    if (mediaType !== 'application/json') {
      throw new SwarmError(
        'invalid-argument',
        `unsupported Content-Type header (${contentType}): must be 'application/json'`,
      );
    }
    let document: unknown;
    try {
      document = JSON.parse(text);
    } catch (error) {
      throw new SwarmError('invalid-argument', `invalid JSON: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return decode(codec, document);
  }

  async #bodyText(): Promise<string> {
    if (this.#upgrade !== undefined) return this.#upgrade.body.toString('utf8');
    const chunks: Buffer[] = [];
    let bytes = 0;
    const read = async () => {
      // Leaving the loop early must not break the connection: the answer goes over it.
      for await (const chunk of this.request.iterator({ destroyOnReturn: false })) {
        const part = chunk as Buffer;
        bytes += part.length;
        if (bytes > maxJsonBytes) throw tooLarge();
        chunks.push(part);
      }
    };
    await withAbort(read(), this.signal);
    return Buffer.concat(chunks).toString('utf8');
  }
}

function decode<T>(codec: Codec<T>, document: unknown): T {
  try {
    return codec.decode(document, '');
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new SwarmError('invalid-argument', `invalid JSON: ${error.message}`, { cause: error });
  }
}

function tooLarge(): SwarmError {
  return new SwarmError(
    'invalid-argument',
    `the request's body is larger than ${maxJsonBytes / 1024 / 1024} MiB`,
    { details: { httpStatus: 413 } },
  );
}

function gone(): SwarmError {
  return new SwarmError('cancelled', 'the client has gone away');
}
