/**
 * Netfilter of many namespaces. Remembers how often it has written to each, so that a look at the
 * kernel's own count tells whether anybody else has.
 */
import { inNamespace } from '../namespace.ts';
import type { Request } from '../netlink/wire.ts';
import { NetfilterSocket } from './socket.ts';

const largestGeneration = 2 ** 32 - 1;

export class Netfilter {
  /** By the namespace's path: the generation after the last batch of ours. */
  readonly #generations = new Map<string, number>();

  /** A socket of the namespace at `path`; empty: of the daemon's own. Synchronous. */
  inside<T>(path: string, work: (socket: NetfilterSocket) => T): T {
    using socket = path === '' ? new NetfilterSocket() : inNamespace(path, openSocket);
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

  forget(path: string): void {
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
