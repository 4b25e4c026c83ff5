/**
 * Netfilter of many namespaces. Remembers how often it has written to each, so that a look at the
 * kernel's own count tells whether anybody else has. Keeps a socket of each: the kernel makes the
 * close of one wait until what was written before is cleared up, some ten milliseconds.
 */
import { inNamespace } from '../namespace.ts';
import type { Request } from '../netlink/wire.ts';
import { NetfilterSocket } from './socket.ts';

const largestGeneration = 2 ** 32 - 1;

export class Netfilter implements Disposable {
  /** By the namespace's path: the generation after the last batch of ours. */
  readonly #generations = new Map<string, number>();

  readonly #sockets = new Map<string, NetfilterSocket>();

  /** Closes what is open; the next use opens it anew. */
  [Symbol.dispose](): void {
    for (const path of this.#sockets.keys()) this.forget(path);
  }

  /** A socket of the namespace at `path`; empty: of the daemon's own. Synchronous. */
  inside<T>(path: string, work: (socket: NetfilterSocket) => T): T {
    let socket = this.#sockets.get(path);
    if (socket === undefined) {
      socket = path === '' ? openSocket() : inNamespace(path, openSocket);
      this.#sockets.set(path, socket);
    }
    return work(socket);
  }

  /** All of the requests take effect, or none; see NetfilterSocket.commit. */
  commit(path: string, requests: readonly Request[]): void {
    if (requests.length === 0) return;
    this.inside(path, (socket) => {
      socket.commit(requests);
      const before = this.#generations.get(path);
      this.#generations.set(path, before === undefined ? socket.generation() : next(before));
    });
  }

  /** Whether somebody else has changed anything since the last batch, or since `settle`. */
  wasTouched(path: string): boolean {
    return this.inside(path, (socket) => socket.generation()) !== this.#generations.get(path);
  }

  /** What is there now has been looked at, and is right. */
  settle(path: string): void {
    this.#generations.set(
      path,
      this.inside(path, (socket) => socket.generation()),
    );
  }

  /** The namespace goes, or there may be another one at the path. */
  forget(path: string): void {
    this.#sockets.get(path)?.closeAside();
    this.#sockets.delete(path);
    this.#generations.delete(path);
  }
}

function openSocket(): NetfilterSocket {
  return new NetfilterSocket();
}

/** The kernel leaves zero out when its count begins anew. */
function next(generation: number): number {
  return generation === largestGeneration ? 1 : generation + 1;
}
