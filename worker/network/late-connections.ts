/**
 * Connections that outlive the process that had them: the kernel goes on sending what was written
 * last, and waits for the peer to confirm it, for minutes where the peer is cut off. They keep the
 * namespace of a container that has ended, and with it links and addresses that others may be given
 * meanwhile. They get some time, and are then ended.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { inNamespace } from './namespace.ts';
import { Netlink } from './netlink.ts';
import {
  dumpConnections,
  endConnection,
  readConnection,
  socketRequests,
  type Connection,
} from './netlink/sockets.ts';
import { families } from './netlink/wire.ts';
import { netlinkProtocols } from './syscalls.ts';

/** A peer that lives has confirmed by then what was sent to it last. */
const graceMs = 3_000;

export class LateConnections implements Disposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  /** A socket in each namespace that has some; it keeps the namespace too. */
  readonly #waiting = new Map<Netlink, Timer>();

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Once no process of the container is left, before the pin of its namespace goes. */
  limit(containerId: string, netnsPath: string): void {
    try {
      // A socket that is left open, also where the kernel does not answer, keeps the namespace.
      using opened = new DisposableStack();
      const netlink = opened.use(
        inNamespace(netnsPath, () => new Netlink(netlinkProtocols.sockets)),
      );
      if (connectionsOf(netlink).length === 0) return;
      const end = () => this.#end(containerId, netlink);
      this.#waiting.set(netlink, this.#clock.after(graceMs, end));
      opened.move();
    } catch (error) {
      this.#cannot(containerId, error);
    }
  }

  [Symbol.dispose](): void {
    for (const netlink of this.#waiting.keys()) this.#close(netlink);
  }

  #end(containerId: string, netlink: Netlink): void {
    try {
      const left = connectionsOf(netlink);
      netlink.run(...left.map(endConnection));
      if (left.length > 0) {
        this.#log.info('ended connections whose peers are silent', {
          containerId,
          connections: left.length,
        });
      }
    } catch (error) {
      this.#cannot(containerId, error);
    } finally {
      this.#close(netlink);
    }
  }

  /** Without the kernel's help they end when it gives them up. */
  #cannot(containerId: string, error: unknown): void {
    const what = 'connections of a container that has ended cannot be ended';
    this.#log.debug(what, { containerId, error: messageOf(error) });
  }

  #close(netlink: Netlink): void {
    this.#waiting.get(netlink)?.cancel();
    this.#waiting.delete(netlink);
    netlink[Symbol.dispose]();
  }
}

function connectionsOf(netlink: Netlink): readonly Connection[] {
  return [families.inet, families.inet6].flatMap((family) =>
    netlink.dump(socketRequests.dump, dumpConnections(family)).map(readConnection),
  );
}
