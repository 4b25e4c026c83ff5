/** Which hard states are written: not every one needs to be. */
import type { HardState, Ready } from '../core/index.ts';

export class HardStateWriter {
  #current: HardState;
  /** As last given to the disk. */
  #written: HardState;

  constructor(loaded: HardState) {
    this.#current = loaded;
    this.#written = loaded;
  }

  /**
   * The state to be written with this Ready, behind its entries; undefined for none. The commit
   * index alone need not be durable: it is found again from the others. But one that puts a
   * membership into force must be: a node that forgot it could win an election of the old members.
   */
  next({ entries, hardState, committed }: Ready): HardState | undefined {
    this.#current = hardState ?? this.#current;
    const { term, vote } = this.#written;
    const isDue =
      entries.length > 0 ||
      this.#current.term !== term ||
      this.#current.vote !== vote ||
      committed.some((entry) => entry.kind === 'config');
    if (!isDue || isSame(this.#current, this.#written)) return undefined;
    this.#written = this.#current;
    return this.#current;
  }
}

function isSame(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit;
}
