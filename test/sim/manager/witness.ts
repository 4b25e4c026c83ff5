/**
 * Sees every entry that any manager applies and every acknowledgement, and holds the managers to
 * one history: the same entries, outcomes and digests at the same indexes, and nothing lost that
 * was acknowledged.
 */
import { hash } from 'node:crypto';
import type { ApplyResult, StateMachine, StoreLog } from '../../../manager/store/log.ts';
import { Violation } from '../violation.ts';

/** Digests of the whole store are compared at every so many entries. */
const digestEvery = 40;

interface Applied {
  readonly hash: string;
  readonly outcome: string;
  readonly by: string;
}

interface Watched {
  readonly id: string;
  /** False once its process was killed: what it still says nobody hears. */
  readonly alive: () => boolean;
  readonly digest: () => string;
  readonly fail: (violation: Violation) => void;
  /** What the entry is turned into before it is applied, for planted bugs. */
  readonly distort?: (entry: Uint8Array) => Uint8Array;
}

export class Witness {
  readonly #entries = new Map<number, Applied>();
  readonly #digests = new Map<number, { readonly digest: string; readonly by: string }>();
  /** The index at which each manager's digest was last looked at. */
  readonly #comparedAt = new Map<string, number>();
  readonly #leaders = new Map<number, string>();
  #acknowledged = 0;
  /** The entry that is being applied is applied for the first time anywhere. */
  isFresh = false;
  /** The newest entry that any manager has applied. */
  frontier = 0;
  acknowledgements = 0;

  get elections(): number {
    return this.#leaders.size;
  }

  /** The newest term that anybody led in. */
  get newestTerm(): number {
    return Math.max(0, ...this.#leaders.keys());
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  leads(id: string, term: number): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== id) {
      throw new Violation('election safety', `${other} and ${id} both lead in term ${term}`);
    }
    this.#leaders.set(term, id);
  }

  /** A manager says that it has everything that was acknowledged. */
  hasAll(id: string, index: number, acknowledged = this.#acknowledged): void {
    if (index >= acknowledged) return;
    const missing = `${id} is at entry ${index}, and entry ${acknowledged} was acknowledged`;
    throw new Violation('acknowledged changes stay', missing);
  }

  compare(id: string, index: number, digest: () => string): void {
    if (this.#comparedAt.get(id) === index) return;
    this.#comparedAt.set(id, index);
    const known = this.#digests.get(index);
    const own = digest();
    if (known === undefined) this.#digests.set(index, { digest: own, by: id });
    else if (known.digest !== own) {
      throw new Violation('one digest', `${id} and ${known.by} differ at entry ${index}`);
    }
  }

  watch(log: StoreLog, watched: Watched): StoreLog {
    const { fail, alive } = watched;
    const checked = (work: () => void) => {
      try {
        if (alive()) work();
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        fail(error);
      }
    };
    return {
      open: (machine) => log.open(this.#machine(machine, watched, checked)),
      propose: async (entry) => {
        const result = await log.propose(entry);
        checked(() => this.#acknowledge(watched.id, result, entry));
        return result;
      },
      barrier: async () => {
        const before = this.#acknowledged;
        await log.barrier();
        checked(() => this.hasAll(watched.id, this.#appliedBy.get(watched.id) ?? 0, before));
      },
      get isLeader() {
        return log.isLeader;
      },
      onLeadership: (listener) => log.onLeadership(listener),
      [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
    };
  }

  readonly #appliedBy = new Map<string, number>();

  #machine(
    machine: StateMachine,
    { id, digest, distort = (entry) => entry }: Watched,
    checked: (work: () => void) => void,
  ): StateMachine {
    let previous = 0;
    this.#comparedAt.delete(id);
    return {
      apply: (index, entry) => {
        this.isFresh = index > this.frontier;
        this.frontier = Math.max(this.frontier, index);
        const result = machine.apply(index, distort(entry));
        checked(() => this.#applied(id, { previous, index }, entry, result));
        previous = index;
        this.#appliedBy.set(id, index);
        this.isFresh = false;
        if (index % digestEvery === 0) checked(() => this.compare(id, index, digest));
        return result;
      },
      snapshot: () => machine.snapshot(),
      snapshotParts: () => {
        checked(() => this.compare(id, previous, digest));
        return machine.snapshotParts();
      },
      restore: (index, snapshot) => {
        machine.restore(index, snapshot);
        this.#comparedAt.delete(id);
        previous = index;
        this.#appliedBy.set(id, index);
        checked(() => this.compare(id, index, digest));
      },
    };
  }

  #applied(
    id: string,
    { previous, index }: { readonly previous: number; readonly index: number },
    entry: Uint8Array,
    result: ApplyResult,
  ): void {
    for (let skipped = previous + 1; skipped < index; skipped++) {
      const by = this.#entries.get(skipped)?.by;
      if (by === undefined) continue;
      throw new Violation('state machine safety', `${id} passed over entry ${skipped} of ${by}`);
    }
    if (index <= previous) {
      throw new Violation('state machine safety', `${id} applied ${index} after ${previous}`);
    }
    const hash = hashOf(entry);
    const outcome = result.applied ? 'applied' : result.conflict;
    const known = this.#entries.get(index);
    if (known === undefined) this.#entries.set(index, { hash, outcome, by: id });
    else if (known.hash !== hash) {
      throw new Violation('state machine safety', `${id} and ${known.by} differ in entry ${index}`);
    } else if (known.outcome !== outcome) {
      const both = `${known.outcome} for ${known.by}, ${outcome} for ${id}`;
      throw new Violation('state machine safety', `entry ${index} was ${both}`);
    }
  }

  #acknowledge(id: string, { index }: ApplyResult, entry: Uint8Array): void {
    this.acknowledgements += 1;
    this.#acknowledged = Math.max(this.#acknowledged, index);
    if (this.#entries.get(index)?.hash === hashOf(entry)) return;
    const what = `${id} acknowledged entry ${index}, and another was applied there`;
    throw new Violation('acknowledged changes stay', what);
  }
}

function hashOf(entry: Uint8Array): string {
  return hash('sha1', entry, 'base64');
}
