/** Netlink sockets of containers' namespaces, kept open: asking costs no visit to the namespace. */
import { inNamespace } from './namespace.ts';
import { Netlink } from './netlink.ts';

export class NetlinkSockets implements Disposable {
  readonly #sockets = new Map<string, Netlink>();

  /** Opened at the first call. */
  of(netnsPath: string): Netlink {
    let socket = this.#sockets.get(netnsPath);
    if (socket === undefined) {
      socket = inNamespace(netnsPath, () => new Netlink());
      this.#sockets.set(netnsPath, socket);
    }
    return socket;
  }

  /** A socket keeps its namespace alive: it must go before that can. */
  forget(netnsPath: string): void {
    this.#sockets.get(netnsPath)?.[Symbol.dispose]();
    this.#sockets.delete(netnsPath);
  }

  [Symbol.dispose](): void {
    for (const path of this.#sockets.keys()) this.forget(path);
  }
}
