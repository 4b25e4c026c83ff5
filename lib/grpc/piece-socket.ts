/** A stream of bytes over a stream of messages: what HTTP takes for a connection. */
import { Duplex } from 'node:stream';
import { SwarmError } from '../errors.ts';

export interface Piece {
  readonly data?: Uint8Array;
  /** Nothing more comes in this direction; the other one goes on. */
  readonly end?: boolean;
}

/** The messages that carry the bytes, whatever else they are. */
export interface PieceStream {
  /** Throws the reason where the stream is broken off. */
  readonly incoming: AsyncIterator<Piece>;
  /** Resolves when there is room for more. */
  send(piece: Piece): Promise<void>;
  /** Nothing more is sent or read. `whole`: both sides have said all that they had to say. */
  close(whole: boolean): void;
}

/** Small enough that streams which share a connection take turns. */
const pieceBytesMax = 64 * 1024;

/**
 * Reads only as fast as it is read, and writes only as fast as the other end reads. Each direction
 * ends by itself; a stream that breaks off destroys the socket with the reason.
 */
export class PieceSocket extends Duplex {
  readonly #pieces: PieceStream;
  /** Resolves when nothing of it is open any more, however it ended. */
  readonly over: Promise<void>;
  #sentEnd = false;
  #gotEnd = false;

  constructor(pieces: PieceStream) {
    super({ allowHalfOpen: true });
    this.#pieces = pieces;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.once('close', resolve);
  }

  override _read(): void {
    this.#next().then(
      (data) => {
        if (data === undefined) this.#gotEnd = true;
        this.push(data ?? null);
      },
      (error: unknown) => this.destroy(SwarmError.from(error)),
    );
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error) => void): void {
    this.#send(chunk).then(() => callback(), callback);
  }

  override _final(callback: (error?: Error) => void): void {
    this.#sentEnd = true;
    this.#pieces.send({ end: true }).then(() => callback(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#pieces.close(error === null && this.#sentEnd && this.#gotEnd);
    callback(error);
  }

  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { value, done } = await this.#pieces.incoming.next();
      if (done === true) {
        throw new SwarmError('unavailable', 'the connection was closed before all was said');
      }
      const { data, end = false } = value;
      if (end) return undefined;
      if (data !== undefined && data.length > 0) return data;
    }
  }

  async #send(chunk: Buffer): Promise<void> {
    for (let start = 0; start < chunk.length; start += pieceBytesMax) {
      await this.#pieces.send({ data: chunk.subarray(start, start + pieceBytesMax) });
    }
  }
}

/** The pieces in the messages of a stream. */
export async function* piecesOf(
  messages: AsyncIterator<{ readonly piece?: Piece | undefined }>,
): AsyncGenerator<Piece> {
  for (;;) {
    const { value, done } = await messages.next();
    if (done === true) return;
    if (value.piece !== undefined) yield value.piece;
  }
}
