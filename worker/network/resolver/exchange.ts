/** One question to one name server, from the host's network or from inside a container's. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, Socket } from 'node:net';
import { inNamespace } from '../namespace.ts';
import { internetSocket } from '../syscalls.ts';
import { isIpv6 } from './addresses.ts';
import { answers, isBareFailure, rcodeOf, refusal } from './wire.ts';

export interface NameServer {
  readonly address: string;
  readonly port: number;
}

export interface Ask {
  readonly query: Buffer;
  readonly questionEnd: number;
  readonly server: NameServer;
  /** The network namespace to ask from; absent: the daemon's own. */
  readonly netnsPath?: string;
  readonly signal: AbortSignal;
}

/** Rejects when the server cannot be reached, or with the signal's reason. */
export type Exchange = (ask: Ask) => Promise<Buffer>;

/**
 * Every question has a socket of its own, so that the kernel gives it a port that nobody can guess
 * and lets only this server answer.
 */
export const askOverUdp: Exchange = (ask) => {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const { query, questionEnd, server, signal } = ask;
  signal.throwIfAborted();
  const socket = udpSocket(ask);
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.on('error', reject);
  socket.on('message', (message) => {
    const answer = answerIn(message, query, questionEnd);
    if (answer !== undefined) resolve(answer);
  });
  let isOver = false;
  socket.on('connect', () => {
    if (!isOver) socket.send(query);
  });
  // Without a callback, which would be called for a failure too, that is an `error`.
  socket.connect(server.port, server.address);
  return promise.finally(() => {
    isOver = true;
    signal.removeEventListener('abort', onAbort);
    socket.close();
  });
};

export const askOverTcp: Exchange = (ask) => {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const { query, questionEnd, signal } = ask;
  signal.throwIfAborted();
  const socket = tcpSocket(ask);
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  let received = Buffer.alloc(0);
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('the name server closed the connection')));
  socket.on('data', (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    const length = received.length < 2 ? Infinity : received.readUInt16BE(0) + 2;
    if (received.length < length) return;
    const answer = answerIn(received.subarray(2, length), query, questionEnd);
    if (answer !== undefined) resolve(answer);
    else reject(new Error('the name server answered another question'));
  });
  socket.write(framed(query));
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  });
};

/** Always with the question; undefined: the message belongs to something else. */
function answerIn(message: Buffer, query: Buffer, questionEnd: number): Buffer | undefined {
  if (answers(query, questionEnd, message)) return message;
  if (!isBareFailure(query, message)) return undefined;
  return refusal(query, rcodeOf(message), questionEnd);
}

/** A message on TCP, behind its length. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function udpSocket({ server, netnsPath }: Ask): UdpSocket {
  const family = isIpv6(server.address) ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    // The address is a literal, which needs no thread to look it up.
    lookup: (address, _, done) => done(null, address, family),
  });
  if (netnsPath !== undefined) {
    const fd = inNamespace(netnsPath, () => internetSocket('udp', family));
    socket.bind({ fd });
  }
  return socket;
}

function tcpSocket({ server, netnsPath }: Ask): Socket {
  const { address: host, port } = server;
  if (netnsPath === undefined) return connect({ host, port });
  const family = isIpv6(host) ? 6 : 4;
  const fd = inNamespace(netnsPath, () => internetSocket('tcp', family));
  return new Socket({ fd }).connect({ host, port });
}
