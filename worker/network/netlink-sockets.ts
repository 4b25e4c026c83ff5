/** Netlink sockets of containers' namespaces, kept open: asking costs no visit to the namespace. */
import { closeSync, openSync } from 'node:fs';
import { KernelNews } from './kernel-news.ts';
import { inNamespaceOf } from './namespace.ts';
import { Netlink } from './netlink.ts';
import { numberNamespace } from './netlink/namespaces.ts';

export class NetlinkSockets implements Disposable {
  readonly #sockets = new Map<string, Netlink>();
  #home: { readonly netlink: Netlink; readonly news: KernelNews } | undefined;

  /** From here on changes are heard: in the thread's present namespace, and in those asked for. */
  listen(): void {
    this.#home ??= { netlink: new Netlink(), news: KernelNews.ofLinksEverywhere() };
  }

  /**
   * Whether links, addresses, routes or rules of any of the namespaces have changed since the last
   * call; always, where nobody listens.
   */
  wasTouched(): boolean {
    return this.#home?.news.heard() ?? true;
  }

  /** A namespace whose changes are to be heard; it lasts for as long as the namespace. */
  include(netnsFd: number): void {
    this.#home?.netlink.run(numberNamespace(netnsFd));
  }

  /** Opened at the first call. */
  of(netnsPath: string): Netlink {
    let socket = this.#sockets.get(netnsPath);
    if (socket === undefined) {
      const fd = openSync(netnsPath, 'r');
      try {
        socket = inNamespaceOf(fd, () => new Netlink());
        this.#sockets.set(netnsPath, socket);
        this.include(fd);
      } finally {
        closeSync(fd);
      }
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
    this.#home?.netlink[Symbol.dispose]();
    this.#home?.news[Symbol.dispose]();
    this.#home = undefined;
  }
}
