/**
 * The two sockets in a container's namespace, UDP and TCP. They belong to the daemon's event loop;
 * only their making happens inside.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { inNamespace } from '../namespace.ts';
import { internetSocket } from '../syscalls.ts';
import { framed } from './exchange.ts';
import { listenPort, resolverAddress } from './ports.ts';

/** Gives the answer, or undefined for what deserves none. Must not reject. */
type Handler = (query: Buffer, way: 'udp' | 'tcp') => Promise<Buffer> | Buffer | undefined;

const idleMs = 10_000;
const connectionsMax = 64;
/** Questions of one container that wait for other name servers at a time; more are dropped. */
const waitingMax = 256;

export class Listener implements AsyncDisposable {
  readonly #handle: Handler;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  #waiting = 0;
  #isOpen = true;

  /** Throws where the namespace is gone, or the port in it is taken. */
  constructor(netnsPath: string, handle: Handler, deps: { clock: Clock; log: Logger }) {
    this.#handle = handle;
    this.#deps = deps;
    const bindTo = { address: resolverAddress, port: listenPort };
    const [udpFd, tcpFd] = inNamespace(netnsPath, () => [
      internetSocket('udp', 4, bindTo),
      internetSocket('tcp', 4, bindTo),
    ]);
    this.#udp = createSocket({
      type: 'udp4',
      // Clients' addresses are literals, which need no thread to look them up.
      lookup: (address, _, done) => done(null, address, 4),
    });
    this.#udp.on('message', (query, client) => this.#onDatagram(query, client));
    this.#udp.on('error', (error) => this.#onError(error));
    this.#udp.bind({ fd: udpFd });
    this.#tcp = createServer({ allowHalfOpen: true }, (socket) => this.#onConnection(socket));
    this.#tcp.maxConnections = connectionsMax;
    this.#tcp.on('error', (error) => this.#onError(error));
    this.#tcp.listen({ fd: tcpFd });
  }

  /** False once a socket has failed: make another listener. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(resolve)),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
    ]);
  }

  #onError(error: Error): void {
    this.#deps.log.warn('a socket of the resolver failed', { error });
    this.#isOpen = false;
  }

  #onDatagram(query: Buffer, client: RemoteInfo): void {
    this.#answer(query, 'udp', (answer) => {
      if (!this.#isOpen) return;
      this.#udp.send(answer, client.port, client.address, (error) => {
        if (error) this.#deps.log.debug('an answer could not be sent', { error });
      });
    });
  }

  #onConnection(socket: Socket): void {
    this.#connections.add(socket);
    let received = Buffer.alloc(0);
    let waiting = 0;
    let idle = this.#deps.clock.after(idleMs, () => socket.destroy());
    socket.on('close', () => {
      idle.cancel();
      this.#connections.delete(socket);
    });
    socket.on('error', (error) => {
      this.#deps.log.debug('a connection to the resolver broke', { error });
    });
    const proceed = () => {
      // A client that does not read its answers gets no more until it does.
      while (!socket.writableNeedDrain && received.length >= 2) {
        const end = 2 + received.readUInt16BE(0);
        if (received.length < end) break;
        const query = received.subarray(2, end);
        received = received.subarray(end);
        waiting++;
        this.#answer(query, 'tcp', (answer) => {
          waiting--;
          if (!socket.destroyed) socket.write(framed(answer));
          if (socket.readableEnded && waiting === 0) socket.end();
        });
      }
      if (socket.writableNeedDrain) socket.pause();
      else socket.resume();
    };
    socket.on('data', (bytes: Buffer) => {
      idle.cancel();
      idle = this.#deps.clock.after(idleMs, () => socket.destroy());
      received = Buffer.concat([received, bytes]);
      proceed();
    });
    socket.on('drain', proceed);
    // A client may say at once that it has no more questions, and wait for the answer all the same.
    socket.on('end', () => {
      if (waiting === 0) socket.end();
    });
  }

  #answer(query: Buffer, way: 'udp' | 'tcp', reply: (answer: Buffer) => void): void {
    if (this.#waiting >= waitingMax) return;
    const answer = this.#handle(query, way);
    if (answer === undefined) return;
    if (Buffer.isBuffer(answer)) {
      reply(answer);
      return;
    }
    this.#waiting++;
    void answer.then(reply).finally(() => this.#waiting--);
  }
}
