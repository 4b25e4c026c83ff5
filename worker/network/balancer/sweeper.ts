/**
 * Makes connection tracking forget servers that have left the balance, shortly after: many that
 * leave at once are looked for in one walk through the connections of each namespace.
 */
import type { Clock, Timer } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { forgetServers, type Netfilter, type ServerState } from '../nft/index.ts';

/** Datagrams that are under way come home; the task still runs, see the dispatcher's linger. */
const soonMs = 50;
/** What has had no answer for so long will not get one. */
const lateMs = 1000;
/** Others get their turn after so many namespaces. */
const perTurn = 8;

export class Sweeper implements Disposable {
  readonly #soon: Queue;
  readonly #late: Queue;

  constructor(deps: { netfilter: Netfilter; clock: Clock; log: Logger }) {
    this.#soon = new Queue(soonMs, deps);
    this.#late = new Queue(lateMs, deps);
  }

  [Symbol.dispose](): void {
    this.#soon.clear();
    this.#late.clear();
  }

  /** `closing` servers turn to `closed` by themselves. */
  add(netnsPath: string, servers: ReadonlyMap<string, ServerState>): void {
    this.#soon.add(netnsPath, servers);
    const closing = [...servers].filter(([, state]) => state === 'closing');
    this.#late.add(netnsPath, new Map(closing.map(([server]) => [server, 'closed'])));
  }

  /** The namespace is gone. */
  forget(netnsPath: string): void {
    this.#soon.forget(netnsPath);
    this.#late.forget(netnsPath);
  }
}

class Queue {
  readonly #delayMs: number;
  readonly #netfilter: Netfilter;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By the path of the namespace. */
  readonly #due = new Map<string, Map<string, ServerState>>();
  #timer: Timer | undefined;

  constructor(delayMs: number, deps: { netfilter: Netfilter; clock: Clock; log: Logger }) {
    this.#delayMs = delayMs;
    this.#netfilter = deps.netfilter;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  clear(): void {
    this.#timer?.cancel();
    this.#due.clear();
  }

  /** An address that is heard of again is what it was said to be last. */
  add(netnsPath: string, servers: ReadonlyMap<string, ServerState>): void {
    if (servers.size === 0) return;
    const due = this.#due.get(netnsPath) ?? new Map<string, ServerState>();
    for (const [server, state] of servers) due.set(server, state);
    this.#due.set(netnsPath, due);
    this.#timer ??= this.#clock.after(this.#delayMs, () => this.#sweep());
  }

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
        const facts = { path, error: messageOf(error) };
        this.#log.debug('the connections of a namespace could not be looked through', facts);
      }
    }
    if (this.#due.size > 0) this.#timer = this.#clock.after(0, () => this.#sweep());
  }
}
