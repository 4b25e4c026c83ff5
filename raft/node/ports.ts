/** What a node needs of the outside, and how it is configured. */
import type { ConfState, Message, NodeId, RaftConfig, Role, SoftState } from '../core/index.ts';
import type { StorageOptions } from './storage.ts';

/** A state machine's state as of a log index; the log goes on behind it. */
export interface InitialState {
  readonly index: number;
  readonly data: Uint8Array;
}

/** When snapshots are made, and what stays beside the newest. */
export interface SnapshotPolicy {
  /** Entries of the log after which a snapshot is made; 0: its bytes alone decide. */
  readonly snapshotEntries: number;
  /** Entries that stay in the log behind a snapshot, for followers that are a little behind. */
  readonly keepEntries: number;
  /** Snapshots kept besides the newest. */
  readonly keepOldSnapshots: number;
}

export interface NodeOptions extends Omit<SnapshotPolicy, 'keepOldSnapshots'> {
  /** `forwardProposals` must be false: a node answers for those that it took as leader only. */
  readonly raft: RaftConfig;
  readonly storage: StorageOptions;
  /** An empty folder becomes the first node of a new group; else it waits to be added to one. */
  readonly bootstrap: boolean;
  /** What that first node begins with, such as a backup's content; else it begins empty. */
  readonly initial?: InitialState;
  readonly tickMs: number;
  /** Bytes of the log after which a snapshot is made in any case. */
  readonly snapshotBytes: number;
  /** Proposals that may wait at once. */
  readonly maxProposals: number;
}

export interface Machine<T> {
  /** Deterministic; called once for every entry, in order. */
  apply(index: number, data: Uint8Array): T;
  /** The whole state as of the call, in parts that are made when asked for. */
  snapshotParts(): Iterable<Uint8Array>;
  restore(index: number, snapshot: Uint8Array): void;
}

export interface Transport {
  /** Best effort: may lose, delay, double and reorder. Must not block, and bounds what it keeps. */
  send(message: Message): void;
  /** Resolves when the peer has taken it whole. */
  sendSnapshot(message: Message & { type: 'snapshot' }, data: Uint8Array): Promise<void>;
}

export interface NodePorts<T> {
  readonly machine: Machine<T>;
  readonly transport: Transport;
  /** Calls back again and again; returns how to stop it. */
  everyMs(periodMs: number, callback: () => void): () => void;
  /** Never goes back. With it, a process that stood still does not stand for election for that. */
  monotonicMs?(): number;
  onLeadership?(state: SoftState): void;
  onMembership?(conf: ConfState): void;
  /** Something that heals by itself, for the log. */
  onProblem?(what: string, error: unknown): void;
  /** The node has stopped for good. */
  onFailure(error: unknown): void;
}

export interface RaftStatus {
  readonly term: number;
  readonly role: Role;
  readonly leader: NodeId;
  readonly conf: ConfState;
  readonly transferTarget: NodeId;
  readonly committed: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The last entry that the state machine has applied. */
  readonly appliedIndex: number;
  /** The node follows and takes nothing new until its disk has room. */
  readonly isDiskFull: boolean;
}
