/**
 * Connections that stop being HTTP: after its request, a client and a container's streams share the
 * connection, each in its own direction.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex, Writable } from 'node:stream';
import type { Clock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';

/** A request that asks for another protocol: the connection is ours once it has been read. */
export interface Upgrade {
  readonly socket: Duplex;
  /** The request's own body. */
  readonly body: Buffer;
  /** What the client has sent beyond it. */
  readonly rest: Buffer;
}

export interface Hijacked {
  /** What the client sends, until it ends its side of the connection. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when there is room for more. Throws when the client has gone, or reads nothing. */
  write(data: Uint8Array): Promise<void>;
  end(): void;
}

/** A client that has taken nothing for so long is cut off. */
export const stallMs = 60_000;

/** How long a client may take to close its side, once all has been said. */
const lingerMs = 5_000;

/** The longest body of a request that asks for an upgrade. */
const maxBodyBytes = 1024 * 1024;

/** Node hands over the connection as soon as the headers are read, whatever follows them. */
export async function readUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<Upgrade> {
  const wanted = Number(request.headers['content-length'] ?? 0);
  if (!(wanted <= maxBodyBytes)) {
    throw new SwarmError('invalid-argument', 'the body of this request is too large');
  }
  const parts: Buffer[] = [];
  for (let part = request.read() as Buffer | null; part !== null;) {
    parts.push(part);
    part = request.read() as Buffer | null;
  }
  parts.push(head);
  let all = Buffer.concat(parts);
  if (all.length < wanted) {
    // One end of a pair in memory is still writing here, and misses it when it is read from now.
    await Promise.resolve();
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      all = Buffer.concat([all, chunk as Buffer]);
      if (all.length >= wanted) break;
    }
  }
  return { socket, body: all.subarray(0, wanted), rest: all.subarray(wanted) };
}

export function hijackSocket(
  upgrade: Upgrade,
  contentType: string,
  clock: Clock | undefined,
): Hijacked {
  return hijackWith(upgrade, { 'Content-Type': contentType, Upgrade: 'tcp' }, clock);
}

export function hijackWith(
  { socket, rest }: Upgrade,
  headers: Readonly<Record<string, string>>,
  clock: Clock | undefined,
): Hijacked {
  const lines = Object.entries({ ...headers, Connection: 'Upgrade' });
  socket.write(
    `HTTP/1.1 101 UPGRADED\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  );
  return {
    input: inputOf(socket, rest),
    write: (data) => writeTo(socket, data, clock),
    end: () => {
      socket.end();
      // A client that does not close its side may still be sending: closing now could take away
      // from it what it has not read yet.
      socket.resume();
      const timer = clock?.after(lingerMs, () => socket.destroy());
      socket.once('close', () => timer?.cancel());
    },
  };
}

/** Answers the request, and gives the whole connection away. */
export function takeOver({ socket, rest }: Upgrade, protocol: string): Duplex {
  socket.write(`HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
  if (rest.length > 0) socket.unshift(rest);
  return socket;
}

/** Without an upgrade the answer is the output, until the connection closes. */
export function hijackResponse(
  request: IncomingMessage,
  response: ServerResponse,
  contentType: string,
  clock: Clock | undefined,
): Hijacked {
  response.shouldKeepAlive = false;
  response.useChunkedEncodingByDefault = false;
  response.writeHead(200, { 'Content-Type': contentType });
  response.flushHeaders();
  return {
    input: inputOf(request, Buffer.alloc(0)),
    write: (data) => writeTo(response, data, clock),
    end: () => void response.end(),
  };
}

async function* inputOf(
  stream: Duplex | IncomingMessage,
  rest: Buffer,
): AsyncGenerator<Uint8Array> {
  if (rest.length > 0) yield rest;
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
}

/** Writes to a stream, and waits for room; throws `cancelled` when its reader has gone or stalls. */
export function writeTo(
  stream: Writable,
  data: Uint8Array | string,
  clock: Clock | undefined,
): Promise<void> {
  if (stream.destroyed || stream.writableEnded) {
    return Promise.reject(new SwarmError('cancelled', 'the client has gone away'));
  }
  if (stream.write(data)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (error?: SwarmError) => {
      timer?.cancel();
      stream.off('drain', onDrain);
      stream.off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onDrain = () => settle();
    const onClose = () => settle(new SwarmError('cancelled', 'the client has gone away'));
    const timer = clock?.after(stallMs, () => {
      settle(new SwarmError('cancelled', 'the client has stopped reading'));
      stream.destroy();
    });
    stream.once('drain', onDrain);
    stream.once('close', onClose);
  });
}
