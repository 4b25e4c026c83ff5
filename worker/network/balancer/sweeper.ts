/**
 * Makes connection tracking forget servers that have left the balance, shortly after: many that
 * leave at once are looked for in one walk through the connections of each container.
 */
import type { Clock, Timer } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { forgetServers, type Netfilter, type ServerState } from '../nft/index.ts';

/** Before a task ends that left the balance; see the dispatcher's linger. */
const delayMs = 20;
/** Others get their turn after so many containers. */
const perTurn = 8;

export class Sweeper implements Disposable {
  readonly #netfilter: Netfilter;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By the path of the container's namespace. */
  readonly #due = new Map<string, Map<string, ServerState>>();
  #timer: Timer | undefined;

  constructor(deps: { netfilter: Netfilter; clock: Clock; log: Logger }) {
    this.#netfilter = deps.netfilter;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#due.clear();
  }

  /** An address that is heard of again is what it was said to be last. */
  add(netnsPath: string, servers: ReadonlyMap<string, ServerState>): void {
    if (servers.size === 0) return;
    const due = this.#due.get(netnsPath) ?? new Map<string, ServerState>();
    for (const [server, state] of servers) due.set(server, state);
    this.#due.set(netnsPath, due);
    this.#timer ??= this.#clock.after(delayMs, () => this.#sweep());
  }

  /** The namespace is gone. */
  forget(netnsPath: string): void {
    this.#due.delete(netnsPath);
  }

  #sweep(): void {
    this.#timer = undefined;
    for (const [path, servers] of [...this.#due].slice(0, perTurn)) {
      this.#due.delete(path);
      try {
        this.#netfilter.inside(path, (socket) => forgetServers(socket, servers));
      } catch (error) {
        this.#log.debug('connections of a container could not be looked through', { path, error });
      }
    }
    if (this.#due.size > 0) this.#timer = this.#clock.after(0, () => this.#sweep());
  }
}
