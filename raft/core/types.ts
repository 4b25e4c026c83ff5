/**
 * What goes in and out of the state machine. Nodes are named by strings; the empty string is
 * nobody. Indexes and terms start at 1; 0 is before the first.
 */

export type NodeId = string;
export const nobody: NodeId = '';

export interface Entry {
  readonly index: number;
  readonly term: number;
  /**
   * `config`: `data` is a ConfChange (encodeConfChange); an empty `data` is a leader's first entry.
   */
  readonly kind: 'normal' | 'config';
  readonly data: Uint8Array;
}

/** Must be durable before any message that follows from it is sent. */
export interface HardState {
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

export interface SoftState {
  readonly leader: NodeId;
  readonly role: Role;
}

/** Who takes part. Two sets of voters only while a joint change is under way. */
export interface ConfState {
  readonly voters: readonly NodeId[];
  /** The voters before the change; empty unless joint. */
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Voters that become learners once the joint change is left. */
  readonly learnersNext: readonly NodeId[];
  /** The leader leaves the joint state by itself. */
  readonly autoLeave: boolean;
}

export interface ConfChangeStep {
  readonly op: 'add-voter' | 'add-learner' | 'remove';
  readonly node: NodeId;
}

export interface ConfChange {
  /** Empty: leave the joint state. */
  readonly steps: readonly ConfChangeStep[];
  /**
   * `auto`: joint when more than one voter changes; `joint`: always; the leader leaves by itself.
   */
  readonly transition: 'auto' | 'joint' | 'joint-explicit';
  /** For the proposer's own use, such as an address. */
  readonly context?: string;
}

/** A snapshot's place in the log. Its content is the caller's affair. */
export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly conf: ConfState;
}

interface Base {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: number;
}

export type Message =
  | (Base & {
      readonly type: 'vote' | 'pre-vote';
      readonly lastIndex: number;
      readonly lastTerm: number;
      /** The leader asked for this election: those who hear from a leader answer it too. */
      readonly transfer: boolean;
    })
  | (Base & { readonly type: 'vote-reply' | 'pre-vote-reply'; readonly granted: boolean })
  | (Base & {
      readonly type: 'append';
      /** The entry before `entries`: the follower must have it. */
      readonly prevIndex: number;
      readonly prevTerm: number;
      readonly entries: readonly Entry[];
      readonly commit: number;
    })
  | (Base & {
      readonly type: 'append-reply';
      /**
       * Accepted: the last index that is durable there. Rejected: the `prevIndex` that did not fit.
       */
      readonly index: number;
      readonly rejected: boolean;
      /** Rejected: where the follower's log may fit, and that entry's term. */
      readonly hintIndex: number;
      readonly hintTerm: number;
    })
  | (Base & { readonly type: 'heartbeat'; readonly commit: number; readonly readId: number })
  | (Base & { readonly type: 'heartbeat-reply'; readonly readId: number })
  | (Base & { readonly type: 'snapshot'; readonly snapshot: SnapshotMeta })
  | (Base & { readonly type: 'timeout-now' })
  | (Base & { readonly type: 'forward'; readonly data: Uint8Array })
  | (Base & { readonly type: 'read-index'; readonly requestId: number })
  | (Base & {
      readonly type: 'read-index-reply';
      readonly requestId: number;
      readonly index: number;
    });

export type MessageOf<T extends Message['type']> = Extract<Message, { type: T }>;

/** A read may be served once everything up to `index` has been applied. */
export interface ReadState {
  readonly requestId: number;
  readonly index: number;
}

/**
 * What is to be done. Readies may overlap: the next may be taken before this one is durable, but
 * they are persisted in order, and each is reported by `persisted(number)`.
 */
export interface Ready {
  readonly number: number;
  readonly softState?: SoftState;
  /** Write these three in one sync, in this order. */
  readonly snapshot?: SnapshotMeta;
  readonly entries: readonly Entry[];
  readonly hardState?: HardState;
  /** May leave at once, also while the writes are under way. */
  readonly messages: readonly Message[];
  /** May leave only when this Ready is durable. */
  readonly messagesAfterPersist: readonly Message[];
  /** Durable here and committed: apply them in order. */
  readonly committed: readonly Entry[];
  /** The membership once `committed` is applied; only when it has changed. */
  readonly conf?: ConfState;
  readonly reads: readonly ReadState[];
}

/** Why a call was not taken. */
export type Dropped =
  | 'no-leader'
  | 'not-leader'
  | 'not-voter'
  | 'transferring'
  | 'too-many'
  | 'conf-pending';
