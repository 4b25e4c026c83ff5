/**
 * The durable, ordered log that the store stands on. One manager: the write-ahead log on its own
 * disk. Several: the same log replicated by Raft. The store cannot tell them apart.
 */
export interface StoreLog extends AsyncDisposable {
  /**
   * Opens the log and replays what it holds into `machine`: a snapshot, if there is one, then every
   * entry after it. Resolves when all has been applied. Throws SwarmError on a damaged log, naming
   * the file and the offset.
   */
  open(machine: StateMachine): Promise<void>;
  /**
   * Appends an entry. Resolves with what `machine.apply` returned, once the entry is durable and
   * applied; rejects with SwarmError `unavailable` when this manager does not lead or loses its
   * lead, `resource-exhausted` when too many proposals wait or the disk is full.
   * Proposals are pipelined: a call never waits for an earlier one's disk or network round trip,
   * and entries are applied in the order of the calls.
   */
  propose(entry: Uint8Array): Promise<ApplyResult>;
  /**
   * Resolves when `machine` has applied every entry that any manager acknowledged before the call.
   * Rejects as `propose` does.
   */
  barrier(): Promise<void>;
  /** The most that an object may take as JSON; only logs that keep each by itself have a limit. */
  readonly documentBytesMax?: number | undefined;
  readonly isLeader: boolean;
  /** Called now with the present role, and at every change of it. */
  onLeadership(listener: (leads: boolean) => void): Disposable;
}

export interface StateMachine {
  /**
   * Deterministic. Called once for every entry, in order; never fails on an entry that was
   * logged. Indexes rise, but not always by one: a log may keep entries of its own.
   */
  apply(index: number, entry: Uint8Array): ApplyResult;
  /** The whole state as of the last applied entry. */
  snapshot(): Uint8Array;
  /**
   * The same bytes in parts, each made when it is asked for and quickly. They show the state as of
   * the call, also if entries are applied before the last part was made.
   */
  snapshotParts(): Iterable<Uint8Array>;
  restore(index: number, snapshot: Uint8Array): void;
}

/** Key, for example "service/3vkx…", and JSON. */
export type KeyedDocument = readonly [key: string, document: string];

/** A state machine whose state is documents by key: what a log in a key-value store needs of it. */
export interface DocumentMachine extends StateMachine {
  /**
   * The documents that the entries, applied in order from `firstIndex`, would leave: undefined for
   * one that they remove. Nothing is changed.
   */
  preview(
    firstIndex: number,
    entries: readonly Uint8Array[],
  ): ReadonlyMap<string, string | undefined>;
  /** All of them, as of the last applied entry. */
  documents(): Iterable<KeyedDocument>;
  /** What `restore` takes, made of all documents. */
  snapshotOf(documents: Iterable<KeyedDocument>): Uint8Array;
}

export type ApplyResult =
  | { readonly index: number; readonly applied: true }
  /** Nothing was changed: an object had moved on since the entry was planned. */
  | { readonly index: number; readonly applied: false; readonly conflict: string };
