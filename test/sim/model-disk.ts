/**
 * What raft/node keeps on a disk, as a model: records become durable in order, a sync takes along
 * whatever waited when it began, and a crash keeps some of the records that were on their way.
 */
import type { Entry, HardState, SnapshotMeta } from '../../raft/index.ts';
import type { Agenda } from './agenda.ts';
import type { Dice } from './dice.ts';

interface StoredSnapshot {
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
}

export type DiskRecord =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'state'; readonly state: HardState }
  | { readonly kind: 'snapshot'; readonly snapshot: StoredSnapshot }
  | { readonly kind: 'restart'; readonly index: number };

interface LoadedDisk {
  readonly hardState: HardState;
  readonly snapshot: StoredSnapshot | undefined;
  readonly entries: readonly Entry[];
}

interface Write {
  readonly records: readonly DiskRecord[];
  readonly done: () => void;
}

export class ModelDisk {
  readonly #agenda: Agenda;
  readonly #syncTime: () => number;
  #queue: Write[] = [];
  #syncing = false;
  /** A process' writes end with it. */
  #epoch = 0;
  isFull = false;

  /** Durable: the entry before the first one kept, and those kept. */
  #base = 0;
  #entries: Entry[] = [];
  #state: HardState | undefined;
  #snapshot: StoredSnapshot | undefined;

  constructor(agenda: Agenda, syncTime: () => number) {
    this.#agenda = agenda;
    this.#syncTime = syncTime;
  }

  get newestSnapshot(): StoredSnapshot | undefined {
    return this.#snapshot;
  }

  /** `done` is called when the records are durable, in the order of the calls. */
  write(records: readonly DiskRecord[], done: () => void): void {
    this.#queue.push({ records, done });
    this.#sync();
  }

  /** Snapshots are files of their own: they do not wait for the log. */
  saveSnapshot(snapshot: StoredSnapshot, done: () => void): void {
    const epoch = this.#epoch;
    this.#agenda.after(3 * this.#syncTime(), () => {
      if (epoch !== this.#epoch) return;
      this.#apply({ kind: 'snapshot', snapshot });
      done();
    });
  }

  compact(upToIndex: number): void {
    const count = Math.max(0, Math.min(upToIndex - this.#base, this.#entries.length));
    this.#entries = this.#entries.slice(count);
    this.#base += count;
  }

  crash(dice: Dice): void {
    this.#epoch += 1;
    const unsynced = this.#queue.flatMap(({ records }) => records);
    this.#queue = [];
    this.#syncing = false;
    const kept = dice.chance(0.5) ? dice.below(unsynced.length + 1) : 0;
    for (const record of unsynced.slice(0, kept)) this.#apply(record);
  }

  /** Undefined for a disk that holds nothing yet. */
  load(): LoadedDisk | undefined {
    const snapshot = this.#snapshot;
    if (snapshot === undefined && this.#state === undefined) return undefined;
    const index = snapshot?.meta.index ?? 0;
    const term = snapshot?.meta.term ?? 0;
    const state = this.#state ?? { term, vote: '', commit: index };
    const termAt = this.#entries[index - this.#base - 1]?.term;
    const last = this.#base + this.#entries.length;
    if (last < index || (this.#base !== index && termAt !== term)) {
      this.#apply({ kind: 'restart', index });
    }
    return {
      hardState: { ...state, commit: Math.max(state.commit, index) },
      snapshot,
      entries: this.#entries.slice(index - this.#base),
    };
  }

  /** For planted bugs: the entries behind the index are gone. */
  cutAfter(index: number): void {
    this.#entries = this.#entries.slice(0, Math.max(0, index - this.#base));
  }

  /** For planted bugs: all but the snapshot up to the index is gone. */
  forgetAfter(index: number): void {
    this.cutAfter(index);
    const state = this.#state;
    if (state !== undefined) this.#state = { ...state, commit: Math.min(state.commit, index) };
  }

  /** What a group's first nodes have before they start. */
  preload(entries: readonly Entry[], state: HardState): void {
    this.#entries = [...entries];
    this.#state = state;
  }

  #sync(): void {
    if (this.#syncing || this.#queue.length === 0) return;
    this.#syncing = true;
    const count = this.#queue.length;
    const epoch = this.#epoch;
    const finish = () => {
      if (epoch !== this.#epoch) return;
      if (this.isFull) {
        this.#agenda.after(1, finish);
        return;
      }
      this.#syncing = false;
      for (const { records, done } of this.#queue.splice(0, count)) {
        for (const record of records) this.#apply(record);
        done();
      }
      this.#sync();
    };
    this.#agenda.after(this.#syncTime(), finish);
  }

  #apply(record: DiskRecord): void {
    if (record.kind === 'entry') {
      const { entry } = record;
      this.#entries = [...this.#entries.slice(0, entry.index - this.#base - 1), entry];
      if (this.#entries.length === 1) this.#base = entry.index - 1;
    } else if (record.kind === 'state') {
      this.#state = record.state;
    } else if (record.kind === 'restart') {
      this.#entries = [];
      this.#base = record.index;
    } else if (record.snapshot.meta.index >= (this.#snapshot?.meta.index ?? 0)) {
      this.#snapshot = record.snapshot;
    }
  }
}
