/**
 * Keeps published ports of the host from other programs: one that wants such a port is told that it
 * is in use, instead of waiting for requests that never come. One that had it before is named.
 * Clients of IPv6 come to what is held here where the mesh has no IPv6: see ipv6-clients.ts.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { inNamespace } from '../namespace.ts';
import { holdSctpPort } from '../sctp.ts';
import { errno, internetSocket, SyscallError } from '../syscalls.ts';
import { Ipv6Clients, streamsMax } from './ipv6-clients.ts';
import type { PublishedPort } from './ports.ts';

/** A published port that a program of the host listens on. */
export interface PortTaken extends PublishedPort {
  /** What keeps the daemon from the port, as the system says it. */
  readonly reason: string;
}

/** What is held by a mere descriptor. */
class Held {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  close(done?: () => void): void {
    closeSync(this.#fd);
    done?.();
  }
}

type Reserved = Server | UdpSocket | Held;

export class Reservations implements AsyncDisposable {
  readonly #hostPath: string;
  readonly #clients: Ipv6Clients;
  readonly #reserved = new Map<string, Reserved>();
  readonly #taken = new Map<string, PortTaken>();

  /** `hostPath`: the host's namespace; empty: the daemon's own. */
  constructor(hostPath: string, deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#hostPath = hostPath;
    this.#clients = new Ipv6Clients({ ...deps, netnsPath: hostPath, to: '127.0.0.1' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients[Symbol.dispose]();
    const closing = this.#reserved.values().map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.close(() => resolve());
        }),
    );
    const all = [...closing];
    this.#reserved.clear();
    await Promise.all(all);
  }

  get taken(): readonly PortTaken[] {
    return [...this.#taken.values()];
  }

  change(opened: readonly PublishedPort[], closed: readonly PublishedPort[]): void {
    for (const port of closed) {
      const key = keyOf(port);
      this.#reserved.get(key)?.close();
      this.#reserved.delete(key);
      this.#taken.delete(key);
    }
    for (const port of opened) this.#reserve(port);
  }

  /** Those that were taken may be free by now. */
  retry(): void {
    for (const port of this.taken) this.#reserve(port);
  }

  #reserve(port: PublishedPort): void {
    const key = keyOf(port);
    try {
      const socket = this.#open(port.protocol, port.port);
      if (!(socket instanceof Held)) {
        socket.once('error', (error) => {
          this.#reserved.delete(key);
          this.#taken.set(key, takenOf(port, error.message));
        });
      }
      this.#reserved.set(key, socket);
      this.#taken.delete(key);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#taken.set(key, takenOf(port, error.message));
    }
  }

  #open(protocol: PublishedPort['protocol'], port: number): Reserved {
    const fd = this.#bound(protocol, port);
    if (protocol === 'sctp') return new Held(fd);
    if (protocol === 'udp') {
      const socket = createSocket('udp6');
      socket.bind({ fd });
      socket.unref();
      this.#clients.datagrams(socket, port);
      return socket;
    }
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#clients.stream(socket, port),
    );
    server.maxConnections = streamsMax;
    server.listen({ fd });
    server.unref();
    return server;
  }

  /** For both families, or where the host has no IPv6, for the other alone. */
  #bound(protocol: PublishedPort['protocol'], port: number): number {
    const open = (family: 4 | 6) => {
      const address = family === 6 ? '::' : '0.0.0.0';
      const bind = () =>
        protocol === 'sctp'
          ? holdSctpPort(family, { address, port })
          : internetSocket(protocol, family, { address, port });
      return this.#hostPath === '' ? bind() : inNamespace(this.#hostPath, bind);
    };
    try {
      return open(6);
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno === errno.addressInUse) throw error;
      return open(4);
    }
  }
}

function takenOf({ protocol, port, serviceId, owner }: PublishedPort, reason: string): PortTaken {
  return { protocol, port, serviceId, owner, reason };
}

function keyOf({ protocol, port }: PublishedPort): string {
  return `${port}/${protocol}`;
}
