/**
 * Drives the state machine on a real disk and network: takes Readies, persists, sends, applies.
 * Nothing waits for an earlier proposal: Readies overlap, writes are pipelined and group-committed,
 * and the leader sends entries to followers while it writes them itself.
 */
import {
  ConfChangeError,
  emptyConf,
  everyone,
  Raft,
  type ConfChange,
  type Dropped,
  type Entry,
  type HardState,
  type Message,
  type NodeId,
  type Ready,
  type SnapshotMeta,
  type SoftState,
} from '../core/index.ts';
import type { LogError } from '../log/index.ts';
import { diskIsFull, RaftError, refusal } from './errors.ts';
import { HardStateWriter } from './hard-state.ts';
import type { NodeOptions, NodePorts, RaftStatus, SnapshotPolicy } from './ports.ts';
import { Reads } from './reads.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { Storage } from './storage.ts';
import { Ticker } from './ticker.ts';
import { Waiters } from './waiters.ts';
import { Writer } from './writer.ts';

/** What the log takes as one record, with some room for its header. */
const maxProposalBytes = (32 << 20) - 4096;
/** In times of an election: how long a read may wait, and a follower that took no snapshot. */
const readPatience = 10;
const snapshotPause = 1;

export class RaftNode<T> implements AsyncDisposable {
  readonly #options: NodeOptions;
  readonly #ports: NodePorts<T>;
  readonly #storage: Storage;
  readonly #raft: Raft;
  readonly #waiters = new Waiters<T>();
  readonly #writer: Writer;
  readonly #reads: Reads;
  readonly #sender: SnapshotSender;
  readonly #ticks: Ticker;
  readonly #hardState: HardStateWriter;
  /** The states of snapshots from the leader, for as long as the core may hand them out. */
  readonly #incoming = new WeakMap<SnapshotMeta, Uint8Array>();
  #applied: number;
  #lastSnapshot: number;
  #bytesSinceSnapshot = 0;
  #snapshotting = false;
  #policy: Omit<SnapshotPolicy, 'keepOldSnapshots'>;
  /** Ticks until the next attempt, after one that failed. */
  #snapshotPause = 0;
  /** A snapshot is to replace what was encrypted with an older key. */
  #keyRenewed: boolean;
  #failure: unknown;
  #scheduled = false;
  #closed = false;

  private constructor(
    options: NodeOptions,
    ports: NodePorts<T>,
    storage: Storage,
    raft: Raft,
    start: { applied: number; hardState: HardState },
  ) {
    this.#options = options;
    this.#policy = options;
    this.#ports = ports;
    this.#storage = storage;
    this.#keyRenewed = storage.staleIndex > 0;
    this.#raft = raft;
    this.#applied = start.applied;
    this.#lastSnapshot = start.applied;
    this.#hardState = new HardStateWriter(start.hardState);
    this.#writer = this.#makeWriter();
    this.#reads = this.#makeReads();
    this.#sender = this.#makeSender();
    this.#ticks = new Ticker(options.tickMs, ports, () => this.#tick());
  }

  /**
   * Opens the folder and replays it into the state machine. A folder that holds nothing yet becomes
   * the first node of a new group (`bootstrap`), or waits to be added to one.
   */
  static async open<T>(options: NodeOptions, ports: NodePorts<T>): Promise<RaftNode<T>> {
    if (options.raft.forwardProposals) {
      throw new RaftError('refused', 'a node does not forward proposals: ask the leader itself');
    }
    const storage = await Storage.open(options.storage);
    try {
      if (storage.cut !== undefined) {
        const { path, offset, bytes } = storage.cut;
        const where = `${bytes} bytes of ${path} from byte ${offset} on`;
        ports.onProblem?.(`a crash tore the last write, which was cut off: ${where}`, undefined);
      }
      let loaded = await storage.load();
      if (loaded === undefined && options.bootstrap) {
        await storage.bootstrap(options.raft.id, options.initial);
        loaded = await storage.load();
      }
      const hardState = loaded?.hardState ?? { term: 0, vote: '', commit: 0 };
      const snapshot = loaded?.snapshot;
      if (snapshot !== undefined && loaded?.snapshotData !== undefined) {
        ports.machine.restore(snapshot.index, loaded.snapshotData);
      }
      const raft = new Raft(options.raft, {
        hardState,
        entries: loaded?.entries ?? [],
        ...(snapshot === undefined ? { conf: emptyConf() } : { snapshot }),
      });
      const start = { applied: snapshot?.index ?? 0, hardState };
      const node = new RaftNode(options, ports, storage, raft, start);
      node.#replay();
      return node;
    } catch (error) {
      await storage[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticks.stop();
    this.#rejectAll(new RaftError('closed', 'this node has been closed'));
    await this.#storage[Symbol.asyncDispose]();
  }

  get status(): RaftStatus {
    const isDiskFull = this.#writer.isFull;
    return { ...this.#raft.status, appliedIndex: this.#applied, isDiskFull };
  }

  progressOf(node: NodeId) {
    return this.#raft.progressOf(node);
  }

  /**
   * Resolves with what the state machine returned, once the entry is committed and applied here.
   * Rejects with RaftError: `not-leader`, `busy`, `full`, `refused` (empty, or too large), or `lost`
   * when the lead was lost meanwhile (then the entry may or may not be committed).
   */
  async propose(data: Uint8Array): Promise<T> {
    if (data.length === 0 || data.length > maxProposalBytes) {
      const limits = `it may have 1 to ${maxProposalBytes}`;
      throw new RaftError('refused', `a proposal of ${data.length} bytes is refused: ${limits}`);
    }
    return this.#proposed(() => this.#raft.propose(data));
  }

  /** Resolves once the change is applied; a joint one is left by the leader. As `propose` else. */
  async changeMembership(change: ConfChange): Promise<void> {
    await this.#proposed(() => {
      try {
        return this.#raft.proposeConfChange(change);
      } catch (error) {
        if (error instanceof ConfChangeError) throw new RaftError('refused', error.message);
        throw error;
      }
    });
  }

  /**
   * Resolves when everything acknowledged by any leader before the call is applied here. Rejects
   * with RaftError: `no-leader`, `busy`, `full` (it cannot be applied here), or `lost` (the leader
   * changed, or does not answer).
   */
  async readBarrier(): Promise<void> {
    this.#check();
    this.#noteStandstill();
    const read = this.#reads.start();
    this.#schedule();
    await read;
  }

  /** Asks the voter to take over; resolves at once, and the change of lead shows in the status. */
  transferLeadership(to: NodeId): void {
    this.#check();
    const dropped = this.#raft.transferLeadership(to);
    if (dropped !== undefined) throw refusal(dropped);
    this.#schedule();
  }

  /**
   * What is written from now on is encrypted with the cipher's present key, and what was encrypted
   * with older ones gives way to a snapshot as soon as its last entry is applied.
   */
  async renewStorageKey(): Promise<void> {
    this.#check();
    await this.#storage.renewKey();
    this.#keyRenewed = true;
    this.#maybeSnapshot();
  }

  /** Another policy for snapshots, from now on. */
  tune(policy: SnapshotPolicy): void {
    this.#policy = policy;
    this.#storage.keepOldSnapshots = policy.keepOldSnapshots;
    this.#maybeSnapshot();
  }

  /** Stands for election without waiting for its time-out. */
  campaign(): void {
    this.#check();
    this.#raft.campaign();
    this.#schedule();
  }

  /** A message from a peer; one of kind `snapshot` comes with the state it names. */
  receive(message: Message, snapshotData?: Uint8Array): void {
    if (this.#closed || this.#failure !== undefined) return;
    // An address may have gone to another node meanwhile: what is not for this one is lost mail.
    if (message.to !== this.#options.raft.id) return;
    // What would only have to wait for room on the disk is lost mail.
    if (this.#writer.isFull && needDisk.has(message.type)) return;
    if (message.type === 'snapshot') {
      if (snapshotData === undefined) return;
      this.#incoming.set(message.snapshot, snapshotData);
    }
    this.#guard(() => {
      this.#noteStandstill();
      this.#raft.step(message);
    });
  }

  reportUnreachable(node: NodeId): void {
    this.#guard(() => this.#raft.reportUnreachable(node));
  }

  #tick(): void {
    if (this.#closed || this.#failure !== undefined) return;
    const isLeader = this.#raft.status.role === 'leader';
    this.#noteStandstill();
    const kind = this.#ticks.next();
    this.#pace();
    if (kind === 'early') return;
    this.#reads.tick(isLeader);
    this.#writer.tick();
    this.#sender.tick();
    if (this.#snapshotPause > 0) this.#snapshotPause -= 1;
    // A leader's heartbeats go in any case; a follower first reads what came while it stood still.
    // One whose disk is full can neither vote nor lead, so it does not stand for election.
    if (this.#writer.isFull || (kind === 'late' && !isLeader)) return;
    this.#guard(() => this.#raft.tick());
  }

  /** Without peers nobody waits for a heartbeat, and only a disk that is full is waited for. */
  #pace(): void {
    const isAlone = this.#raft.status.role === 'leader' && this.peers.length === 0;
    this.#ticks.pace(isAlone && !this.#writer.isFull);
  }

  #noteStandstill(): void {
    if (this.#ticks.stoodStill) this.#raft.clockStopped();
  }

  /** Calls into the core. A broken invariant there ends the node. */
  #guard(work: () => void): void {
    if (this.#closed || this.#failure !== undefined) return;
    try {
      work();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#schedule();
  }

  async #proposed(propose: () => Dropped | undefined): Promise<T> {
    this.#check();
    if (this.#writer.isFull) {
      throw diskIsFull(this.#options.storage.folder);
    }
    if (this.#waiters.size >= this.#options.maxProposals) {
      throw new RaftError('busy', `${this.#options.maxProposals} proposals wait already`);
    }
    const dropped = propose();
    if (dropped !== undefined) throw refusal(dropped);
    const { lastIndex, term } = this.#raft.status;
    const result = this.#waiters.wait(lastIndex, term);
    this.#schedule();
    return result;
  }

  /** What comes in one turn of the event loop shares a Ready, and so a write and a message. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#drive();
    });
  }

  #drive(): void {
    try {
      while (this.#raft.hasReady && !this.#closed && this.#failure === undefined) {
        this.#handle(this.#raft.ready());
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Committed entries that were on the disk already are applied before anybody asks. */
  #replay(): void {
    while (this.#raft.hasReady) this.#handle(this.#raft.ready());
    const { voters } = this.#raft.status.conf;
    if (voters.length === 1 && voters[0] === this.#options.raft.id) this.campaign();
  }

  #handle(ready: Ready): void {
    if (ready.softState !== undefined) {
      this.#reads.leaderChanged();
      this.#ports.onLeadership?.(ready.softState);
    }
    this.#send(ready.messages);
    const snapshotData = ready.snapshot && this.#restore(ready.snapshot);
    const settle = ready.committed.flatMap((entry) => this.#apply(entry));
    if (ready.softState !== undefined) this.#loseProposals(ready.softState);
    if (ready.conf !== undefined) {
      this.#pace();
      this.#ports.onMembership?.(ready.conf);
    }
    this.#writer.add({ ready, state: this.#hardState.next(ready), snapshotData, settle });
    for (const { requestId, index } of ready.reads) this.#reads.answered(requestId, index);
    this.#reads.appliedTo(this.#applied);
    this.#maybeSnapshot();
  }

  #makeWriter(): Writer {
    return new Writer(this.#storage, {
      onDurable: (number, messages, settle) => {
        if (this.#closed || this.#failure !== undefined) return;
        this.#guard(() => {
          this.#send(messages);
          for (const done of settle) done();
          this.#raft.persisted(number);
        });
      },
      onFull: (error) => this.#diskIsFull(error),
      onRoom: () => {
        this.#reads.diskIsFull(false);
        this.#ports.onProblem?.('the disk has room again: the node goes on', undefined);
      },
      onFailure: (error) => this.#fail(error),
    });
  }

  /** Nothing that this node has promised is undone by waiting: it follows, and tries again. */
  #diskIsFull(error: LogError): void {
    this.#ports.onProblem?.('the disk is full: the node goes on when there is room', error);
    this.#reads.diskIsFull(true);
    this.#guard(() => this.#raft.stepDown());
  }

  #makeReads(): Reads {
    const { electionTicks, random } = this.#options.raft;
    const options = {
      firstId: random(2 ** 30) * 2 ** 22,
      maxTicks: readPatience * electionTicks,
      folder: this.#options.storage.folder,
      ask: (requestId: number) => this.#raft.readIndex(requestId),
    };
    return new Reads(options, this.#applied);
  }

  #makeSender(): SnapshotSender {
    return new SnapshotSender({
      read: () => this.#storage.readSnapshot(),
      send: (message, data) => this.#ports.transport.sendSnapshot(message, data),
      report: (to, delivered) => this.#guard(() => this.#raft.reportSnapshot(to, delivered)),
      onProblem: (what, error) => this.#ports.onProblem?.(what, error),
      pauseTicks: snapshotPause * this.#options.raft.electionTicks,
    });
  }

  /** Returns what is to be told once it is durable that a membership is in force. */
  #apply({ index, term, kind, data }: Entry): (() => void)[] {
    this.#applied = index;
    this.#bytesSinceSnapshot += data.length;
    if (kind === 'config') return [this.#waiters.settleLater(index, term, undefined as T)];
    const result = data.length > 0 ? this.#ports.machine.apply(index, data) : undefined;
    this.#waiters.settle(index, term, result as T);
    return [];
  }

  #restore(snapshot: SnapshotMeta): Uint8Array {
    const data = this.#incoming.get(snapshot);
    if (data === undefined) throw new RaftError('failed', 'a snapshot came without its state');
    this.#ports.machine.restore(snapshot.index, data);
    this.#applied = snapshot.index;
    this.#lastSnapshot = snapshot.index;
    this.#bytesSinceSnapshot = 0;
    return data;
  }

  /** Those that are committed have been answered. */
  #loseProposals({ role }: SoftState): void {
    if (role === 'leader') return;
    const lost = 'the leader changed before the outcome was known: look before you try again';
    this.#waiters.rejectUncommitted(new RaftError('lost', lost));
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type === 'snapshot') this.#sender.send(message);
      else this.#ports.transport.send(message);
    }
  }

  #maybeSnapshot(): void {
    const { snapshotEntries } = this.#policy;
    const due =
      (snapshotEntries > 0 && this.#applied - this.#lastSnapshot >= snapshotEntries) ||
      this.#bytesSinceSnapshot >= this.#options.snapshotBytes ||
      (this.#keyRenewed && this.#applied > 0 && this.#applied >= this.#storage.staleIndex);
    if (!due || this.#snapshotting || this.#snapshotPause > 0 || this.#closed) return;
    this.#snapshotting = true;
    this.#snapshot()
      .catch((error: unknown) => {
        // The log goes on without: it only stays longer than it might, for some time.
        this.#snapshotPause = readPatience * this.#options.raft.electionTicks;
        this.#ports.onProblem?.('a snapshot could not be written', error);
      })
      .finally(() => {
        this.#snapshotting = false;
        if (this.#keyRenewed) this.#maybeSnapshot();
      });
  }

  async #snapshot(): Promise<void> {
    const index = this.#applied;
    const term = this.#raft.termOf(index);
    if (term === undefined) return;
    const meta: SnapshotMeta = { index, term, conf: this.#raft.status.conf };
    const before = { index: this.#lastSnapshot, bytes: this.#bytesSinceSnapshot };
    this.#lastSnapshot = index;
    this.#bytesSinceSnapshot = 0;
    const covered = this.#keyRenewed && index >= this.#storage.staleIndex;
    if (covered) this.#keyRenewed = false;
    try {
      await this.#storage.saveSnapshot(meta, this.#ports.machine.snapshotParts());
    } catch (error) {
      this.#lastSnapshot = Math.max(before.index, this.#lastSnapshot === index ? 0 : index);
      this.#bytesSinceSnapshot += before.bytes;
      this.#keyRenewed ||= covered;
      throw error;
    }
    if (this.#closed) return;
    const compactTo = Math.max(0, index - this.#policy.keepEntries);
    this.#raft.compact(meta, compactTo);
    // The disk need not keep what is under an old key for followers: they can take the snapshot.
    await this.#storage.compact(covered ? Math.max(compactTo, index) : compactTo);
  }

  #check(): void {
    if (this.#closed) throw new RaftError('closed', 'this node has been closed');
    if (this.#failure !== undefined) {
      throw new RaftError('failed', 'this node has stopped after a failure', this.#failure);
    }
  }

  /** A disk that failed, or a broken invariant: the node falls silent rather than go on wrongly. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    this.#ticks.stop();
    this.#rejectAll(new RaftError('failed', 'this node has stopped after a failure', error));
    this.#ports.onFailure(error);
  }

  #rejectAll(error: RaftError): void {
    this.#waiters.rejectAll(error);
    this.#reads.rejectAll(error);
  }

  /** Everyone of the present membership but this node. */
  get peers(): readonly NodeId[] {
    return everyone(this.#raft.status.conf).filter((node) => node !== this.#options.raft.id);
  }
}

const needDisk: ReadonlySet<Message['type']> = new Set([
  // Also an empty one: its answer would have to wait, and so would those to all that follow.
  'append',
  'snapshot',
  'vote',
  'pre-vote',
  'timeout-now',
]);
