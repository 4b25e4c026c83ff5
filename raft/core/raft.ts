/**
 * The public face of the state machine: ticks, messages and proposals in, Readies out. It does no
 * input or output, knows no clock, and is the same for the same inputs.
 */
import { invariant } from './assert.ts';
import { campaign, forgetLeader, handleVoteReply, handleVoteRequest } from './election.ts';
import { RaftLog } from './log.ts';
import { applyConfChange, encodeConfChange } from './membership.ts';
import { acknowledgeRound, requestRead } from './reads.ts';
import { appendConfChange, knownCommitted, maybeLeaveJoint, takeEffect } from './reconfigure.ts';
import {
  continueTransfer,
  handleAppend,
  handleAppendReply,
  handleHeartbeat,
  handleSnapshot,
  sendAppend,
  sendAppends,
  sendDue,
} from './replication.ts';
import { State, type RaftConfig } from './state.ts';
import { acceptTerm } from './terms.ts';
import { voteResult } from './quorum.ts';
import {
  nobody,
  type ConfChange,
  type ConfState,
  type Dropped,
  type Entry,
  type HardState,
  type Message,
  type MessageOf,
  type NodeId,
  type Ready,
  type SnapshotMeta,
  type SoftState,
} from './types.ts';

export interface RaftStart {
  /** As read from disk; all zero for a new node. */
  readonly hardState: HardState;
  /** The newest snapshot on disk, already applied by the caller. */
  readonly snapshot?: SnapshotMeta;
  /** The log after the snapshot. */
  readonly entries: readonly Entry[];
  /** The membership to start from; only where there is no snapshot. */
  readonly conf?: ConfState;
}

interface Handed {
  readonly number: number;
  readonly hasEntries: boolean;
  readonly toSelf: readonly Message[];
}

export class Raft {
  readonly #state: State;
  #readyNumber = 0;
  #handed: Handed[] = [];
  #lastSoft: SoftState;
  #lastHard: HardState;

  constructor(config: RaftConfig, start: RaftStart) {
    invariant(config.id !== nobody, 'a node has an id');
    invariant(config.heartbeatTicks < config.electionTicks, 'heartbeats come before elections');
    invariant(config.reads === 'quorum' || config.checkQuorum, 'lease reads need the quorum check');
    const log = new RaftLog({
      offset: start.snapshot?.index ?? 0,
      offsetTerm: start.snapshot?.term ?? 0,
      entries: start.entries,
    });
    const conf = start.snapshot?.conf ?? start.conf;
    invariant(conf !== undefined, 'a node starts with a membership or a snapshot that has one');
    this.#state = new State(config, { log, conf });
    this.#state.snapshot = start.snapshot;
    const { term, vote, commit } = start.hardState;
    // A crash may keep entries and lose the term written behind them; nothing was said in it.
    this.#state.becomeFollower(Math.max(term, log.lastTerm), nobody);
    if (this.#state.term === term) this.#state.vote = vote;
    log.commitTo(Math.max(commit, knownCommitted(start.entries)));
    this.#lastSoft = this.#soft();
    this.#lastHard = start.hardState;
  }

  get id(): NodeId {
    return this.#state.id;
  }

  get status() {
    const { term, role, leader, conf, log, transferTarget } = this.#state;
    return {
      term,
      role,
      leader,
      conf,
      transferTarget,
      committed: log.committed,
      applied: log.applied,
      firstIndex: log.firstIndex,
      lastIndex: log.lastIndex,
    };
  }

  /** Undefined for an entry that is compacted away or not there yet. */
  termOf(index: number): number | undefined {
    return this.#state.log.term(index);
  }

  /** What this leader knows of a member; undefined on others, and for strangers. */
  progressOf(node: NodeId) {
    const progress = this.#state.progress.get(node);
    if (progress === undefined) return undefined;
    const { match, next, mode, active, isPaused } = progress;
    return { match, next, mode, active, isPaused };
  }

  /** One unit of time has passed. */
  tick(): void {
    const state = this.#state;
    state.electionElapsed += 1;
    state.sinceLeader += 1;
    if (state.role === 'leader') {
      this.#tickLeader();
    } else if (state.electionElapsed >= state.electionTimeout) {
      state.electionElapsed = 0;
      campaign(state, state.config.preVote ? 'pre-vote' : 'vote');
    }
  }

  /** Stands for election now. */
  campaign(): void {
    const state = this.#state;
    if (state.role === 'leader') return;
    // It has promised the leader not to, and the leader reads on that promise.
    if (state.config.reads === 'lease' && state.isWithinLease && !state.isSingleVoter) return;
    campaign(state, state.config.preVote ? 'pre-vote' : 'vote');
  }

  /** The caller's clock stood still for a while: leases that were counted by it are over. */
  clockStopped(): void {
    this.#state.roundStarts = [];
  }

  /** Undefined when taken. Taken is not committed: watch for the entry in `Ready.committed`. */
  propose(data: Uint8Array): Dropped | undefined {
    const state = this.#state;
    if (state.role !== 'leader') return this.#forward(data);
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    state.appendOwn([{ kind: 'normal', data }]);
    return undefined;
  }

  /** Throws ConfChangeError for a change that the present membership does not allow. */
  proposeConfChange(change: ConfChange): Dropped | undefined {
    const state = this.#state;
    if (state.role !== 'leader') return state.leader === nobody ? 'no-leader' : 'not-leader';
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    if (state.pendingConfIndex > state.log.applied) return 'conf-pending';
    applyConfChange(state.conf, change);
    const data = change.steps.length === 0 ? new Uint8Array() : encodeConfChange(change);
    appendConfChange(state, data);
    return undefined;
  }

  /**
   * Asks for an index to which this node must have applied to serve a read that sees every write
   * acknowledged before. The answer comes in `Ready.reads`, or never when the leader is lost.
   */
  readIndex(requestId: number): Dropped | undefined {
    const state = this.#state;
    if (state.role === 'leader') {
      return requestRead(state, state.id, requestId) ? undefined : 'too-many';
    }
    if (state.leader === nobody) return 'no-leader';
    const { id: from, leader: to, term } = state;
    state.send({ type: 'read-index', from, to, term, requestId });
    return undefined;
  }

  /**
   * Hands the leadership to a voter. No proposals are taken until it has it, or for an election's
   * time.
   */
  transferLeadership(to: NodeId): Dropped | undefined {
    const state = this.#state;
    if (state.role !== 'leader') return state.leader === nobody ? 'no-leader' : 'not-leader';
    if (!state.conf.voters.includes(to)) return 'not-voter';
    if (to === state.id || to === state.transferTarget) return undefined;
    state.transferTarget = to;
    state.electionElapsed = 0;
    continueTransfer(state, to);
    sendAppend(state, to, true);
    return undefined;
  }

  /**
   * Gives up the leadership at once, as when the disk fails it: the voter that has most of the log
   * is told to stand for election.
   */
  stepDown(): void {
    const state = this.#state;
    if (state.role !== 'leader') return;
    const others = state.conf.voters
      .filter((node) => node !== state.id && state.progress.get(node)?.active)
      .toSorted((a, b) => (this.progressOf(b)?.match ?? 0) - (this.progressOf(a)?.match ?? 0));
    const { id: from, term } = state;
    if (others[0] !== undefined) state.send({ type: 'timeout-now', from, to: others[0], term });
    state.becomeFollower(term, nobody);
  }

  /** A message from another node. One from an old term, or from the past, is passed over. */
  step(message: Message): void {
    invariant(message.to === this.#state.id, 'the message is for this node');
    if (!acceptTerm(this.#state, message)) return;
    this.#dispatch(message);
  }

  /** A peer could not be reached: what was sent may be lost. */
  reportUnreachable(node: NodeId): void {
    const progress = this.#state.progress.get(node);
    if (progress?.mode === 'replicate') progress.becomeProbe();
    forgetLeader(this.#state, node);
  }

  /** A snapshot was delivered to the peer, or could not be. */
  reportSnapshot(node: NodeId, delivered: boolean): void {
    const progress = this.#state.progress.get(node);
    if (progress?.mode !== 'snapshot') return;
    if (!delivered) progress.pendingSnapshot = 0;
    progress.becomeProbe();
  }

  /** A snapshot up to an applied index is durable; entries up to `compactTo` may go. */
  compact(snapshot: SnapshotMeta, compactTo: number): void {
    invariant(snapshot.index <= this.#state.log.applied, 'only what was applied is in a snapshot');
    // A newer one may have come from the leader while this one was being written.
    if (snapshot.index > (this.#state.snapshot?.index ?? 0)) this.#state.snapshot = snapshot;
    this.#state.log.compact(Math.min(compactTo, snapshot.index));
  }

  get hasReady(): boolean {
    const state = this.#state;
    return (
      state.outbox.length > 0 ||
      state.afterPersist.length > 0 ||
      state.readyReads.length > 0 ||
      state.incomingSnapshot !== undefined ||
      state.log.hasUnstable ||
      state.log.hasCommitted ||
      state.confChanged ||
      state.due.appends ||
      state.due.commit ||
      state.due.heartbeat ||
      !sameSoft(this.#lastSoft, this.#soft()) ||
      !sameHard(this.#lastHard, this.#hard())
    );
  }

  ready(): Ready {
    const state = this.#state;
    const snapshot = state.incomingSnapshot;
    // First, because applying a membership change makes messages of its own.
    const committed = state.log.takeCommitted(state.config.maxApplyBytes);
    for (const entry of committed) if (entry.kind === 'config') takeEffect(state, entry);
    maybeLeaveJoint(state);
    sendDue(state);
    const entries = state.log.takeUnstable();
    const soft = this.#soft();
    const hard = this.#hard();
    const toSelf = state.afterPersist.filter((message) => message.to === state.id);
    const ready: Ready = {
      number: ++this.#readyNumber,
      ...(sameSoft(this.#lastSoft, soft) ? {} : { softState: soft }),
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(sameHard(this.#lastHard, hard) ? {} : { hardState: hard }),
      ...(state.confChanged ? { conf: state.conf } : {}),
      entries,
      messages: state.outbox,
      messagesAfterPersist: state.afterPersist.filter((message) => message.to !== state.id),
      committed,
      reads: state.readyReads,
    };
    if (entries.length > 0 || toSelf.length > 0) {
      this.#handed.push({ number: ready.number, hasEntries: entries.length > 0, toSelf });
    }
    this.#lastSoft = soft;
    this.#lastHard = hard;
    state.outbox = [];
    state.afterPersist = [];
    state.readyReads = [];
    state.incomingSnapshot = undefined;
    state.confChanged = false;
    return ready;
  }

  /** Everything of this Ready and of those before it is durable. */
  persisted(number: number): void {
    while (this.#handed[0] !== undefined && this.#handed[0].number <= number) {
      const { hasEntries, toSelf } = this.#handed.shift() as Handed;
      if (hasEntries) this.#state.log.stabilized();
      for (const message of toSelf) this.step(message);
    }
  }

  #tickLeader(): void {
    const state = this.#state;
    state.heartbeatElapsed += 1;
    state.leaderTicks += 1;
    if (state.electionElapsed >= state.config.electionTicks) {
      state.electionElapsed = 0;
      state.transferTarget = nobody;
      if (state.config.checkQuorum && !this.#hasActiveQuorum()) {
        state.becomeFollower(state.term, nobody);
        return;
      }
    }
    if (state.heartbeatElapsed >= state.config.heartbeatTicks) {
      state.heartbeatElapsed = 0;
      state.due.heartbeat = true;
    }
  }

  #hasActiveQuorum(): boolean {
    const state = this.#state;
    const isActive = (node: NodeId) =>
      node === state.id || (state.progress.get(node)?.active ?? false);
    const result = voteResult(state.voters, isActive);
    for (const progress of state.progress.values()) progress.active = false;
    return result === 'won';
  }

  #refusal(): Dropped | undefined {
    const state = this.#state;
    if (state.transferTarget !== nobody || state.isLeaving) return 'transferring';
    if (state.uncommittedBytes > state.config.maxUncommittedBytes) return 'too-many';
    return undefined;
  }

  #forward(data: Uint8Array): Dropped | undefined {
    const { config, leader, id: from, term } = this.#state;
    if (leader === nobody) return 'no-leader';
    if (!config.forwardProposals) return 'not-leader';
    this.#state.send({ type: 'forward', from, to: leader, term, data });
    return undefined;
  }

  #dispatch(message: Message): void {
    const state = this.#state;
    switch (message.type) {
      case 'vote':
      case 'pre-vote':
        handleVoteRequest(state, message);
        break;
      case 'vote-reply':
      case 'pre-vote-reply':
        handleVoteReply(state, message);
        break;
      case 'append':
      case 'heartbeat':
      case 'snapshot':
        this.#fromLeader(message);
        break;
      case 'append-reply':
        handleAppendReply(state, message);
        break;
      case 'heartbeat-reply':
        this.#heartbeatReply(message);
        break;
      case 'timeout-now':
        if (state.role !== 'leader') campaign(state, 'transfer');
        break;
      case 'forward':
        if (state.role === 'leader') this.propose(message.data);
        break;
      case 'read-index':
        if (state.role === 'leader') requestRead(state, message.from, message.requestId);
        break;
      case 'read-index-reply':
        state.readyReads.push({ requestId: message.requestId, index: message.index });
        break;
    }
  }

  #fromLeader(message: MessageOf<'append' | 'heartbeat' | 'snapshot'>): void {
    const state = this.#state;
    invariant(state.role !== 'leader', `two leaders in term ${state.term}`);
    if (state.role !== 'follower') state.becomeFollower(state.term, message.from);
    state.electionElapsed = 0;
    state.sinceLeader = 0;
    state.leader = message.from;
    if (message.type === 'append') handleAppend(state, message);
    else if (message.type === 'heartbeat') handleHeartbeat(state, message);
    else handleSnapshot(state, message);
  }

  #heartbeatReply(message: MessageOf<'heartbeat-reply'>): void {
    const state = this.#state;
    const progress = state.progress.get(message.from);
    if (state.role !== 'leader' || progress === undefined) return;
    progress.active = true;
    progress.resume();
    // Even an empty append: a follower that lost what was sent refuses it, and so says where it is.
    if (progress.match < state.log.lastIndex && sendAppend(state, message.from, true)) {
      sendAppends(state, message.from);
    }
    acknowledgeRound(state, message.from, message.readId);
  }

  #soft(): SoftState {
    return { leader: this.#state.leader, role: this.#state.role };
  }

  #hard(): HardState {
    return {
      term: this.#state.term,
      vote: this.#state.vote,
      commit: this.#state.log.committed,
    };
  }
}

function sameSoft(a: SoftState, b: SoftState): boolean {
  return a.leader === b.leader && a.role === b.role;
}

function sameHard(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit;
}
