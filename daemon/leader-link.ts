/** A manager's connection to the one that leads; it follows the lead wherever it goes. */
import type { DescService } from '@bufbuild/protobuf';
import type { Clock, Timer } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import type { ClientOf, Connection } from '../lib/grpc/index.ts';
import { noLeader } from '../manager/store/index.ts';

interface LeaderLinkParts {
  /** The leader's node id; empty while there is none. */
  readonly leader: () => string;
  readonly addrOf: (id: string) => string | undefined;
  readonly connect: (addr: string) => Connection;
  /** Why it may be this manager that the swarm lacks, such as a full disk; empty for nothing. */
  readonly trouble?: () => string;
  readonly clock: Clock;
}

/** A connection to the leader, and what ends the calls that wait on it. */
interface Link {
  readonly connection: Connection;
  readonly calls: AbortController;
}

/** A leader that has handed over still answers what it was asked before. */
const lastAnswersMs = 500;
/** The lead is handed over in less than this, and taken from a leader that has died. */
const betweenLeadersMs = 1_000;
const pollMs = 10;

const leaderLost =
  'The swarm has lost its leader before it answered: look whether the change was made before you ' +
  'try again.';

export class LeaderLink implements Disposable {
  readonly #parts: LeaderLinkParts;
  #present: Link | undefined;
  /** Those to earlier leaders, until their last answers are in. */
  readonly #past = new Map<Link, Timer>();
  #wasKnown = true;
  #lostMs: number;

  constructor(parts: LeaderLinkParts) {
    this.#parts = parts;
    this.#lostMs = parts.clock.monotonicMs();
  }

  [Symbol.dispose](): void {
    this.#leave();
    for (const link of this.#past.keys()) this.#end(link);
  }

  /** Somebody else leads now, or nobody: calls to the one before would wait for it in vain. */
  changed(): void {
    const leader = this.#parts.leader();
    if (leader === '' && this.#wasKnown) this.#lostMs = this.#parts.clock.monotonicMs();
    this.#wasKnown = leader !== '';
    const addr = this.#present?.connection.addr;
    if (leader !== '' && this.#parts.addrOf(leader) === addr) return;
    this.#leave();
  }

  /**
   * Resolves when there is a leader. Where there has been none for longer than one needs to follow
   * another, it resolves at once, and whoever asks for the leader hears that there is none.
   */
  async settled(): Promise<void> {
    const { clock, leader } = this.#parts;
    while (leader() === '' && clock.monotonicMs() - this.#lostMs < betweenLeadersMs) {
      await clock.sleep(pollMs);
    }
  }

  /** Aborts soon after the leader that calls are sent to now has lost the lead. */
  get signal(): AbortSignal | undefined {
    return this.#present?.calls.signal;
  }

  addrIfKnown(): string | undefined {
    const leader = this.#parts.leader();
    return leader === '' ? undefined : this.#parts.addrOf(leader);
  }

  /** Throws SwarmError `unavailable` while there is no leader. */
  addr(): string {
    const addr = this.addrIfKnown();
    if (addr === undefined) {
      const trouble = this.#parts.trouble?.() ?? '';
      throw new SwarmError('unavailable', trouble === '' ? noLeader : trouble);
    }
    return addr;
  }

  client<S extends DescService>(service: S): ClientOf<S> {
    const addr = this.addr();
    if (this.#present?.connection.addr !== addr) this.#leave();
    this.#present ??= { connection: this.#parts.connect(addr), calls: new AbortController() };
    return this.#present.connection.client(service);
  }

  #leave(): void {
    const link = this.#present;
    this.#present = undefined;
    if (link === undefined) return;
    const timer = this.#parts.clock.after(lastAnswersMs, () => this.#end(link));
    this.#past.set(link, timer);
  }

  #end(link: Link): void {
    this.#past.get(link)?.cancel();
    this.#past.delete(link);
    link.calls.abort(new SwarmError('unavailable', leaderLost));
    link.connection[Symbol.dispose]();
  }
}
