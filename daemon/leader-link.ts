/** A manager's connection to the one that leads; it follows the lead wherever it goes. */
import type { DescService } from '@bufbuild/protobuf';
import { SwarmError } from '../lib/errors.ts';
import type { ClientOf, Connection } from '../lib/grpc/index.ts';

export interface LeaderLinkParts {
  /** The leader's node id; empty while there is none. */
  readonly leader: () => string;
  readonly addrOf: (id: string) => string | undefined;
  readonly connect: (addr: string) => Connection;
}

const noLeader =
  'The swarm does not have a leader. It is possible that too few managers are online: make sure ' +
  'that more than half of them are.';

const leaderLost =
  'The swarm has lost its leader before it answered: look whether the change was made before you ' +
  'try again.';

export class LeaderLink implements Disposable {
  readonly #parts: LeaderLinkParts;
  #connection: Connection | undefined;
  #calls = new AbortController();

  constructor(parts: LeaderLinkParts) {
    this.#parts = parts;
  }

  [Symbol.dispose](): void {
    this.#disconnect();
  }

  /** Somebody else leads now, or nobody: calls to the one before would wait for it in vain. */
  changed(): void {
    const leader = this.#parts.leader();
    if (leader !== '' && this.#parts.addrOf(leader) === this.#connection?.addr) return;
    this.#disconnect();
  }

  /** Aborts when the leader that calls are sent to now is not the leader any more. */
  get signal(): AbortSignal {
    return this.#calls.signal;
  }

  /** Throws SwarmError `unavailable` while there is no leader. */
  addr(): string {
    const leader = this.#parts.leader();
    const addr = leader === '' ? undefined : this.#parts.addrOf(leader);
    if (addr === undefined) throw new SwarmError('unavailable', noLeader);
    return addr;
  }

  client<S extends DescService>(service: S): ClientOf<S> {
    const addr = this.addr();
    if (this.#connection?.addr !== addr) {
      this.#disconnect();
      this.#connection = this.#parts.connect(addr);
    }
    return this.#connection.client(service);
  }

  #disconnect(): void {
    if (this.#connection === undefined) return;
    this.#calls.abort(new SwarmError('unavailable', leaderLost));
    this.#calls = new AbortController();
    this.#connection[Symbol.dispose]();
    this.#connection = undefined;
  }
}
