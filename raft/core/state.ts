/**
 * What one node knows, and the transitions between roles. The other files of raft/core act on it.
 */
import { invariant } from './assert.ts';
import type { RaftLog } from './log.ts';
import { everyone, isJoint, isVoterIn } from './membership.ts';
import { Progress } from './progress.ts';
import type { VoterSets } from './quorum.ts';
import {
  nobody,
  type ConfState,
  type Entry,
  type Message,
  type NodeId,
  type ReadState,
  type Role,
  type SnapshotMeta,
} from './types.ts';

export interface RaftConfig {
  readonly id: NodeId;
  /** Ticks without a leader before an election; the actual number is random in [n, 2n). */
  readonly electionTicks: number;
  /** Ticks between a leader's heartbeats; fewer than `electionTicks`. */
  readonly heartbeatTicks: number;
  /** Bytes of entries in one append; one entry goes whatever its size. */
  readonly maxAppendBytes: number;
  /** Appends under way to one follower. */
  readonly maxInflight: number;
  /** Bytes of entries handed out to be applied at once. */
  readonly maxApplyBytes: number;
  /** Bytes that a leader takes before they are committed; beyond, proposals are dropped. */
  readonly maxUncommittedBytes: number;
  /** Ask whether an election could be won before raising the term. */
  readonly preVote: boolean;
  /** A leader that hears from no quorum for an election's time steps down. */
  readonly checkQuorum: boolean;
  /** `lease`: reads trust the leader's lease (clocks must run alike); `quorum`: every read asks. */
  readonly reads: 'quorum' | 'lease';
  /** Followers send proposals on to the leader; else they drop them. */
  readonly forwardProposals: boolean;
  /** Uniform in [0, below). The only source of randomness. */
  readonly random: (below: number) => number;
}

interface PendingRead {
  /** The round of heartbeats that must be acknowledged. */
  readonly round: number;
  readonly index: number;
  readonly from: NodeId;
  readonly requestId: number;
}

export class State {
  readonly config: RaftConfig;
  readonly log: RaftLog;
  term = 0;
  vote: NodeId = nobody;
  role: Role = 'follower';
  leader: NodeId = nobody;
  conf: ConfState;
  /** The newest snapshot that the caller has: what is sent to followers too far behind. */
  snapshot: SnapshotMeta | undefined;

  /** Only a leader's, for everyone including itself. */
  readonly progress = new Map<NodeId, Progress>();
  readonly votes = new Map<NodeId, boolean>();
  electionElapsed = 0;
  heartbeatElapsed = 0;
  electionTimeout = 0;
  transferTarget: NodeId = nobody;
  /** No membership change is taken until this index is applied. */
  pendingConfIndex = 0;
  uncommittedBytes = 0;

  /** Rounds of heartbeats are numbered; each member's answer tells which one it has seen. */
  round = 0;
  readonly roundAcks = new Map<NodeId, number>();
  /** The first round of each of this leader's latest ticks: what a lease counts from. */
  roundStarts: { round: number; tick: number }[] = [];
  leaderTicks = 0;
  /** Somebody was told to stand for election at once: no promise not to can be counted on. */
  isLeaseGone = false;
  /** Ticks since a leader was heard from; those of before a restart may be forgotten. */
  sinceLeader = 0;
  pendingReads: PendingRead[] = [];
  /** Reads that came before this leader committed an entry of its own term. */
  postponedReads: { from: NodeId; requestId: number }[] = [];

  outbox: Message[] = [];
  afterPersist: Message[] = [];
  readyReads: ReadState[] = [];
  /** A snapshot from the leader that is yet to be handed out. */
  incomingSnapshot: SnapshotMeta | undefined;
  confChanged = false;
  /** What is to be sent to everyone once the caller asks what is to be done. */
  due = { appends: false, commit: false, heartbeat: false };
  /** A membership change without this leader is in its log: it takes nothing more behind it. */
  isLeaving = false;

  constructor(config: RaftConfig, start: { log: RaftLog; conf: ConfState }) {
    this.config = config;
    this.log = start.log;
    this.conf = start.conf;
  }

  get id(): NodeId {
    return this.config.id;
  }

  get voters(): VoterSets {
    return { incoming: new Set(this.conf.voters), outgoing: new Set(this.conf.outgoing) };
  }

  get isVoter(): boolean {
    return isVoterIn(this.conf, this.id);
  }

  get isSingleVoter(): boolean {
    return this.conf.voters.length === 1 && this.isVoter && !isJoint(this.conf);
  }

  /** A leader hears from a quorum; others would disturb it by an election. */
  get isWithinLease(): boolean {
    const { checkQuorum, electionTicks, reads } = this.config;
    if (!checkQuorum) return false;
    // Lease reads stand on this promise, which also one keeps that has forgotten whom it gave it.
    if (reads === 'lease' && this.role !== 'leader') return this.sinceLeader < electionTicks;
    return this.leader !== nobody && this.electionElapsed < electionTicks;
  }

  send(message: Message): void {
    this.outbox.push(message);
  }

  /** For what tells another node (or this one) that something is durable here. */
  sendAfterPersist(message: Message): void {
    this.afterPersist.push(message);
  }

  becomeFollower(term: number, leader: NodeId): void {
    this.#reset(term);
    this.role = 'follower';
    this.leader = leader;
  }

  becomePreCandidate(): void {
    invariant(this.role !== 'leader', 'a leader does not ask for votes');
    // Neither term nor vote change: an election that cannot be won leaves no trace.
    this.votes.clear();
    this.role = 'pre-candidate';
    this.leader = nobody;
    this.electionElapsed = 0;
  }

  becomeCandidate(): void {
    invariant(this.role !== 'leader', 'a leader does not ask for votes');
    this.#reset(this.term + 1);
    this.role = 'candidate';
    this.vote = this.id;
  }

  becomeLeader(): void {
    invariant(this.role === 'candidate', 'only a candidate becomes leader');
    this.#reset(this.term);
    this.role = 'leader';
    this.leader = this.id;
    // There may be a membership change among the entries that are not committed yet.
    this.pendingConfIndex = this.log.lastIndex;
    this.uncommittedBytes = this.log.bytesBetween(this.log.committed, this.log.lastIndex);
    this.trackMembers();
  }

  /** Keeps one Progress for every member, and none for anybody else. */
  trackMembers(): void {
    const members = new Set(everyone(this.conf));
    for (const node of this.progress.keys()) {
      if (!members.has(node)) this.progress.delete(node);
    }
    for (const node of members) {
      if (this.progress.has(node)) continue;
      const progress = new Progress(this.log.lastIndex + 1, this.config);
      // A new member counts as heard from: it gets an election's time to answer.
      progress.active = true;
      this.progress.set(node, progress);
    }
  }

  /**
   * Adds entries of this leader's term; their durability is reported to itself like a follower's.
   */
  appendOwn(proposals: readonly Pick<Entry, 'kind' | 'data'>[]): void {
    for (const { kind, data } of proposals) {
      this.log.push({ index: this.log.lastIndex + 1, term: this.term, kind, data });
      this.uncommittedBytes += data.length;
    }
    this.due.appends = true;
    this.acknowledge(this.id, this.log.lastIndex);
  }

  /** Tells that everything up to the index is here, once it is durable; the last word counts. */
  acknowledge(to: NodeId, index: number): void {
    const { id: from, term } = this;
    const last = this.afterPersist.at(-1);
    const isOvertaken =
      last?.type === 'append-reply' &&
      !last.rejected &&
      last.to === to &&
      last.term === term &&
      last.index <= index;
    if (isOvertaken) this.afterPersist.pop();
    const accepted = { rejected: false, hintIndex: 0, hintTerm: 0 };
    this.afterPersist.push({ type: 'append-reply', from, to, term, index, ...accepted });
  }

  #reset(term: number): void {
    if (term !== this.term) {
      invariant(term > this.term, 'the term never goes back');
      this.term = term;
      this.vote = nobody;
    }
    this.leader = nobody;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    const { electionTicks, random } = this.config;
    this.electionTimeout = electionTicks + random(electionTicks);
    this.votes.clear();
    this.progress.clear();
    this.transferTarget = nobody;
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.roundAcks.clear();
    this.roundStarts = [];
    this.isLeaseGone = false;
    this.pendingReads = [];
    this.postponedReads = [];
    this.due = { appends: false, commit: false, heartbeat: false };
    this.isLeaving = false;
  }
}
