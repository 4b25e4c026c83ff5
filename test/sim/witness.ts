/**
 * Sees everything that nodes do, and knows what must never be (paper, figure 3): election safety,
 * log matching, leader completeness, state-machine safety, and what follows for snapshots and
 * commands.
 */
import type { Entry, NodeId } from '../../raft/index.ts';
import { decodeCommand } from './machine.ts';
import { Violation } from './violation.ts';

interface Known {
  readonly kind: Entry['kind'];
  readonly data: string;
  readonly previousTerm: number;
}

export class Witness {
  readonly #leaders = new Map<number, NodeId>();
  /** Every entry that was in any log, by index and term. */
  readonly #entries = new Map<string, Known>();
  /** The term of what was committed at each index, from index 1. */
  readonly #committed: number[] = [];
  /** The term in which that was. */
  readonly #committedIn: number[] = [];
  /** The state after each index that anybody has applied. */
  readonly #digests: string[] = [];
  readonly #commandAt = new Map<number, number>();

  get committed(): number {
    return Math.max(this.#committed.length, this.#digests.length - 1);
  }

  get elections(): number {
    return this.#leaders.size;
  }

  /** The term of the committed entry. */
  termAt(index: number): number | undefined {
    return this.#committed[index - 1];
  }

  /** Where the command was applied; undefined when it never was. */
  indexOf(command: number): number | undefined {
    return this.#commandAt.get(command);
  }

  /** `termOf` gives the leader's log, where it can be seen. */
  sawLeader(id: NodeId, term: number, termOf?: (index: number) => number | undefined): void {
    const known = this.#leaders.get(term);
    if (known === id) return;
    if (known !== undefined) {
      throw new Violation('election safety', `both ${known} and ${id} lead in term ${term}`);
    }
    this.#leaders.set(term, id);
    if (termOf === undefined) return;
    // One that was elected late need not have what a later leader committed meanwhile.
    const last = this.#committedIn.findLastIndex((committedIn) => committedIn < term) + 1;
    const expected = this.#committed[last - 1];
    if (last === 0 || termOf(last) === expected) return;
    throw new Violation(
      'leader completeness',
      `leader ${id} of term ${term} has at index ${last} an entry of term ${termOf(last)}, ` +
        `while one of term ${expected} is committed there`,
    );
  }

  /** Entries that came into a log behind one of `previousTerm`. */
  sawEntries(id: NodeId, entries: readonly Entry[], previousTerm: number | undefined): void {
    let before = previousTerm;
    for (const { index, term, kind, data } of entries) {
      const text = Buffer.from(data).toString('latin1');
      const place = `${index}@${term}`;
      const known = this.#entries.get(place);
      if (known === undefined) {
        this.#entries.set(place, { kind, data: text, previousTerm: before ?? -1 });
      } else if (known.data !== text || known.kind !== kind) {
        throw new Violation('log matching', `${id} has another entry ${place} than others`);
      } else if (before !== undefined && known.previousTerm >= 0 && known.previousTerm !== before) {
        throw new Violation('log matching', `${id} has another entry before ${place} than others`);
      }
      before = term;
    }
  }

  /** A node takes the entry at the index to be committed. */
  sawCommit(id: NodeId, index: number, term: number | undefined, currentTerm: number): void {
    // What a snapshot brought has no term of its own any more.
    if (term === undefined) return;
    const known = this.#committed[index - 1];
    if (known === undefined) {
      this.#committed[index - 1] = term;
      this.#committedIn[index - 1] = currentTerm;
    } else if (known !== term) {
      throw new Violation(
        'state-machine safety',
        `${id} takes the entry of term ${term} at ${index} as committed, others one of ${known}`,
      );
    }
  }

  /** A node applied the entry, and its state is now `digest`. */
  sawApply(id: NodeId, { index, kind, data }: Entry, digest: string): void {
    this.#sawState(id, index, digest);
    if (kind === 'config' || data.length === 0) return;
    const { id: command, forwarded } = decodeCommand(data);
    const known = this.#commandAt.get(command);
    if (known === undefined) this.#commandAt.set(command, index);
    else if (known !== index && !forwarded) {
      throw new Violation('applied twice', `command ${command} is at ${known} and at ${index}`);
    }
  }

  sawRestore(id: NodeId, index: number, digest: string): void {
    this.#sawState(id, index, digest);
  }

  #sawState(id: NodeId, index: number, digest: string): void {
    const known = this.#digests[index];
    if (known === undefined) this.#digests[index] = digest;
    else if (known !== digest) {
      throw new Violation('state-machine safety', `${id} has another state after ${index}`);
    }
  }
}
