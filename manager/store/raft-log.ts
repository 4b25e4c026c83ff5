/** The store's log on Raft: one manager alone, or several that replicate to each other. */
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import {
  nodeDefaults,
  raftDefaults,
  RaftNode,
  recoverAlone,
  type Cipher,
  type ConfChange,
  type ConfState,
  type Disk,
  type Message,
  type NodeId,
  type RaftStatus,
  type Transport,
} from '../../raft/index.ts';
import type { SwarmSpec } from '../../types/index.ts';
import type { ApplyResult, StateMachine, StoreLog } from './log.ts';
import { toSwarmError } from './raft-errors.ts';
import type { InitialState } from './restored.ts';

export interface RaftLogOptions {
  readonly id: NodeId;
  readonly folder: string;
  /** The first manager of a new swarm; else an empty folder waits to be added to a group. */
  readonly bootstrap: boolean;
  /** What the first manager's store begins with, a backup's content; else it begins empty. */
  readonly initial?: InitialState;
  /** What is on this disk becomes a group of this manager alone: the others are lost for good. */
  readonly forceNew?: boolean;
  readonly tickMs?: number;
  /** Ticks without a leader before an election; at random up to twice as many. */
  readonly electionTicks?: number;
  readonly heartbeatTicks?: number;
  readonly snapshotEntries?: number;
  readonly keepEntries?: number;
  readonly segmentBytes?: number;
  /** Proposals that may wait. 10,000 where absent. */
  readonly maxProposals?: number;
}

export interface RaftLogParts {
  readonly disk: Disk;
  /** Encrypts what is on the disk. */
  readonly cipher?: Cipher;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The log can go on no more: its disk failed, or what it holds cannot be. */
  readonly onFailure: (error: SwarmError) => void;
  readonly onMembership?: (conf: ConfState) => void;
  /** Who leads, as far as this manager knows; empty when it has just lost sight of the leader. */
  readonly onLeader?: (id: NodeId) => void;
}

const mebibyte = 1 << 20;
/** An election takes 0.7 to 1.4 s without a leader: long enough for a loaded machine's hiccups. */
const defaults = {
  ...nodeDefaults,
  electionTicks: raftDefaults.electionTicks,
  heartbeatTicks: raftDefaults.heartbeatTicks,
  segmentBytes: 16 * mebibyte,
};

/** How long after the leader's connection broke the first of the others stands for election. */
const firstStandsMs = 20;
/** Long enough for the one before to have won. */
const nextStandsMs = 150;

export class RaftLog implements StoreLog {
  readonly #options: RaftLogOptions & typeof defaults;
  readonly #parts: RaftLogParts;
  readonly #listeners = new Set<(leads: boolean) => void>();
  #node: RaftNode<ApplyResult> | undefined;
  #leads = false;
  #term = 0;

  constructor(options: RaftLogOptions, parts: RaftLogParts) {
    this.#options = { ...defaults, ...options };
    this.#parts = parts;
  }

  async open(machine: StateMachine): Promise<void> {
    const { clock, disk, cipher, transport, log, onMembership } = this.#parts;
    const { id, folder, segmentBytes, initial } = this.#options;
    const storage = { folder, disk, segmentBytes, ...(cipher === undefined ? {} : { cipher }) };
    try {
      if (this.#options.forceNew === true) {
        const { index } = await recoverAlone(id, storage, machine);
        log.warn('this manager goes on alone with what it has', { index });
      }
      this.#node = await RaftNode.open<ApplyResult>(
        {
          raft: this.#raftConfig(),
          storage,
          bootstrap: this.#options.bootstrap,
          ...(initial === undefined
            ? {}
            : { initial: { index: initial.index, data: initial.snapshot } }),
          tickMs: this.#options.tickMs,
          snapshotEntries: this.#options.snapshotEntries,
          snapshotBytes: this.#options.snapshotBytes,
          keepEntries: this.#options.keepEntries,
          maxProposals: this.#options.maxProposals,
        },
        {
          machine,
          transport,
          everyMs: (periodMs, callback) => every(clock, periodMs, callback),
          monotonicMs: () => clock.monotonicMs(),
          onLeadership: ({ role, leader }) => {
            this.#roleChanged(role === 'leader');
            this.#parts.onLeader?.(leader);
          },
          ...(onMembership === undefined ? {} : { onMembership }),
          onProblem: (what, error) => log.warn(what, { error }),
          onFailure: (error) => this.#failed(error),
        },
      );
    } catch (error) {
      throw toSwarmError(error);
    }
    log.info('log is open', { id, applied: this.#node.status.appliedIndex });
    if (this.#node.status.role === 'leader') this.#roleChanged(true);
    await this.#leadAlone(this.#node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#announce(false);
    await this.#node?.[Symbol.asyncDispose]();
  }

  propose(entry: Uint8Array): Promise<ApplyResult> {
    return this.#translated((node) => node.propose(entry));
  }

  barrier(): Promise<void> {
    return this.#translated((node) => node.readBarrier());
  }

  /**
   * Throws SwarmError as `propose` does, and `failed-precondition` for a change that does not fit.
   */
  changeMembership(change: ConfChange): Promise<void> {
    return this.#translated((node) => node.changeMembership(change));
  }

  async transferLeadership(to: NodeId): Promise<void> {
    await this.#translated((node) => Promise.resolve(node.transferLeadership(to)));
  }

  /** The cipher has a new key: what was encrypted with older ones gives way to it. */
  renewStorageKey(): Promise<void> {
    return this.#translated((node) => node.renewStorageKey());
  }

  /** When snapshots are made, and what is kept, as the swarm's settings have it. */
  tune({
    snapshotInterval,
    logEntriesForSlowFollowers,
    keepOldSnapshots,
  }: SwarmSpec['raft']): void {
    const { snapshotEntries, keepEntries } = this.#options;
    this.#node?.tune({
      snapshotEntries: snapshotInterval ?? snapshotEntries,
      keepEntries: logEntriesForSlowFollowers ?? keepEntries,
      keepOldSnapshots: keepOldSnapshots ?? 0,
    });
  }

  receive(message: Message, snapshotData?: Uint8Array): void {
    this.#node?.receive(message, snapshotData);
  }

  /**
   * The connection from a manager broke. If it led, its process has died, or lost its peers: the
   * others stand for election one after the other, which costs nothing if it is there after all.
   */
  reportLost(id: NodeId): void {
    const { clock, random, log } = this.#parts;
    const status = this.#node?.status;
    if (status?.role !== 'follower' || status.leader !== id) return;
    this.#node?.reportUnreachable(id);
    const rank = status.conf.voters.filter((voter) => voter !== id).indexOf(this.#options.id);
    if (rank < 0) return;
    const delayMs = firstStandsMs + rank * nextStandsMs + random.integer(firstStandsMs);
    clock.after(delayMs, () => {
      if (this.#node?.status.leader !== '') return;
      this.#translated((node) => Promise.resolve(node.campaign())).catch((error: unknown) =>
        log.debug('does not stand for election', { error }),
      );
    });
  }

  reportUnreachable(id: NodeId): void {
    this.#node?.reportUnreachable(id);
  }

  get status(): RaftStatus | undefined {
    return this.#node?.status;
  }

  /** Why this manager's log takes nothing for now, in a sentence; empty when it does. */
  get trouble(): string {
    const status = this.#node?.status;
    if (status?.isDiskFull !== true) return '';
    const { folder } = this.#options;
    const others = status.conf.voters.length > 1 ? ', though the other managers may' : '';
    return `no room is left in ${folder}: until there is, this manager takes no changes${others}`;
  }

  progressOf(id: NodeId) {
    return this.#node?.progressOf(id);
  }

  get isLeader(): boolean {
    return this.#leads;
  }

  onLeadership(listener: (leads: boolean) => void): Disposable {
    this.#listeners.add(listener);
    listener(this.#leads);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  #raftConfig() {
    const { id, electionTicks, heartbeatTicks } = this.#options;
    const random = (below: number) => this.#parts.random.integer(below);
    return { ...raftDefaults, id, electionTicks, heartbeatTicks, random };
  }

  /**
   * A manager alone leads as soon as its own log is applied: whoever opens the store counts on it.
   */
  async #leadAlone(node: RaftNode<ApplyResult>): Promise<void> {
    const { voters } = node.status.conf;
    if (voters.length !== 1 || voters[0] !== this.#options.id) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const listening = this.onLeadership((leads) => {
      if (leads) resolve();
    });
    await promise;
    listening[Symbol.dispose]();
  }

  /** A new leader is announced once it has applied all that earlier leaders committed. */
  #roleChanged(isLeader: boolean): void {
    this.#term += 1;
    if (!isLeader) this.#announce(false);
    // While the log is being opened, the role is looked at when that is done.
    if (!isLeader || this.#node === undefined) return;
    const term = this.#term;
    this.barrier().then(
      () => {
        if (term === this.#term) this.#announce(true);
      },
      (error: unknown) => this.#parts.log.info('lost the lead before it was taken', { error }),
    );
  }

  #announce(leads: boolean): void {
    if (leads === this.#leads) return;
    this.#leads = leads;
    for (const listener of this.#listeners) listener(leads);
  }

  #failed(thrown: unknown): void {
    this.#announce(false);
    this.#parts.onFailure(toSwarmError(thrown));
  }

  async #translated<R>(work: (node: RaftNode<ApplyResult>) => Promise<R>): Promise<R> {
    if (this.#node === undefined) throw new SwarmError('unavailable', 'the log is not open yet');
    try {
      return await work(this.#node);
    } catch (error) {
      throw toSwarmError(error);
    }
  }
}

function every(clock: Clock, periodMs: number, callback: () => void): () => void {
  let timer = clock.after(periodMs, function tick() {
    timer = clock.after(periodMs, tick);
    callback();
  });
  return () => timer.cancel();
}
