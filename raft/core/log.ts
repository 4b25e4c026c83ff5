/**
 * The log since the last compaction, in memory. What precedes it is in a snapshot. Entries are
 * `unstable` until the caller has reported that they are durable.
 */
import { invariant } from './assert.ts';
import type { Entry, SnapshotMeta } from './types.ts';

export class RaftLog {
  /** Index and term of the entry before the first: the snapshot's, or 0. */
  #offset: number;
  #offsetTerm: number;
  #entries: Entry[];
  /** Everything up to here is known to be on a quorum. */
  #committed: number;
  /** Everything up to here was handed out to be applied. */
  #applied: number;
  /** Everything up to here was handed out to be persisted. */
  #handed: number;
  /** Everything up to here is durable on this node. */
  #stable: number;
  /** Of each batch that is being persisted, the last entry that was not cut off since. */
  #writing: number[] = [];

  constructor(start: { offset: number; offsetTerm: number; entries: readonly Entry[] }) {
    this.#offset = start.offset;
    this.#offsetTerm = start.offsetTerm;
    this.#entries = [...start.entries];
    this.#entries.forEach((entry, position) => {
      invariant(entry.index === start.offset + 1 + position, 'entries follow without a gap');
    });
    this.#committed = start.offset;
    this.#applied = start.offset;
    this.#handed = this.lastIndex;
    this.#stable = this.lastIndex;
  }

  get firstIndex(): number {
    return this.#offset + 1;
  }

  get lastIndex(): number {
    return this.#offset + this.#entries.length;
  }

  get lastTerm(): number {
    return this.term(this.lastIndex) ?? 0;
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#applied;
  }

  get stable(): number {
    return this.#stable;
  }

  /** Undefined for an index that is compacted away or not there yet. */
  term(index: number): number | undefined {
    if (index === this.#offset) return this.#offsetTerm;
    return this.#entries[index - this.#offset - 1]?.term;
  }

  /** Entries from `from` on, at least one where there is one, then while they fit `maxBytes`. */
  slice(from: number, maxBytes: number): readonly Entry[] {
    invariant(from > this.#offset, 'entries that were compacted away are not asked for');
    let bytes = 0;
    let end = from - this.#offset - 1;
    for (; end < this.#entries.length; end++) {
      const size = this.#entries[end]?.data.length ?? 0;
      if (bytes > 0 && bytes + size > maxBytes) break;
      bytes += size + 1;
    }
    return this.#entries.slice(from - this.#offset - 1, end);
  }

  /** The data of the entries above `from`, up to `to`. */
  bytesBetween(from: number, to: number): number {
    let bytes = 0;
    for (let index = from + 1; index <= to; index++) {
      bytes += this.#entries[index - this.#offset - 1]?.data.length ?? 0;
    }
    return bytes;
  }

  /** The last membership change above `from`. */
  lastConfigAfter(from: number): Entry | undefined {
    const entry = this.#entries.findLast(({ kind }) => kind === 'config');
    return entry !== undefined && entry.index > from ? entry : undefined;
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** The other log is at least as far as this one (paper, section 5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm;
    return lastIndex >= this.lastIndex;
  }

  /** The leader's way: adds at the end. */
  push(entry: Entry): void {
    invariant(entry.index === this.lastIndex + 1, 'the leader adds at the end of its log');
    this.#entries.push(entry);
  }

  /** The follower's way: keeps what is the same, cuts off what differs, adds what is new. */
  merge(entries: readonly Entry[]): void {
    const fresh = entries.findIndex((entry) => !this.matches(entry.index, entry.term));
    if (fresh < 0) return;
    const first = entries[fresh]?.index ?? 0;
    invariant(first > this.#committed, `entry ${first} is committed and cannot be replaced`);
    this.#entries.length = first - this.#offset - 1;
    this.#entries.push(...entries.slice(fresh));
    this.#handed = Math.min(this.#handed, first - 1);
    this.#stable = Math.min(this.#stable, first - 1);
    this.#writing = this.#writing.map((last) => Math.min(last, first - 1));
  }

  commitTo(index: number): boolean {
    if (index <= this.#committed) return false;
    invariant(index <= this.lastIndex, `commit index ${index} is beyond the log`);
    this.#committed = index;
    return true;
  }

  /** Entries that were not handed out to be persisted before. */
  takeUnstable(): readonly Entry[] {
    const entries = this.#entries.slice(this.#handed - this.#offset);
    this.#handed = this.lastIndex;
    if (entries.length > 0) this.#writing.push(this.lastIndex);
    return entries;
  }

  get hasUnstable(): boolean {
    return this.#handed < this.lastIndex;
  }

  /** The oldest batch of entries that were handed out to be persisted is durable. */
  stabilized(): void {
    const last = this.#writing.shift();
    invariant(last !== undefined, 'only what was handed out becomes durable');
    this.#stable = Math.max(this.#stable, last);
  }

  get hasCommitted(): boolean {
    return this.#applied < Math.min(this.#committed, this.#stable);
  }

  /** Committed and durable entries that were not handed out before. */
  takeCommitted(maxBytes: number): readonly Entry[] {
    if (!this.hasCommitted) return [];
    const end = Math.min(this.#committed, this.#stable);
    const entries = this.slice(this.#applied + 1, maxBytes).filter((entry) => entry.index <= end);
    this.#applied = entries.at(-1)?.index ?? this.#applied;
    return entries;
  }

  /** The whole log is replaced by a snapshot from the leader. */
  restore(snapshot: SnapshotMeta): void {
    invariant(snapshot.index > this.#committed, 'a snapshot never goes back');
    this.#offset = snapshot.index;
    this.#offsetTerm = snapshot.term;
    this.#entries = [];
    this.#committed = snapshot.index;
    this.#applied = snapshot.index;
    this.#handed = snapshot.index;
    this.#stable = snapshot.index;
    this.#writing = this.#writing.map(() => 0);
  }

  /** Forgets entries up to `index`, which a snapshot covers. */
  compact(index: number): void {
    if (index <= this.#offset) return;
    invariant(index <= this.#applied, 'only what was applied is compacted');
    const term = this.term(index);
    invariant(term !== undefined, 'the compacted entry is in the log');
    this.#entries = this.#entries.slice(index - this.#offset);
    this.#offset = index;
    this.#offsetTerm = term;
  }

  /** The last index, at most `index`, whose term is at most `term`: where logs may still agree. */
  lastAgreeing(index: number, term: number): { index: number; term: number } {
    let at = Math.min(index, this.lastIndex);
    for (; at > this.#offset; at--) {
      const own = this.term(at) ?? 0;
      if (own <= term) return { index: at, term: own };
    }
    return { index: at, term: this.term(at) ?? 0 };
  }
}
