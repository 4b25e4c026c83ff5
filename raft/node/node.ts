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
import { RaftError } from './errors.ts';
import { HardStateWriter } from './hard-state.ts';
import type { NodeOptions, NodePorts, RaftStatus } from './ports.ts';
import { Storage } from './storage.ts';
import { Waiters } from './waiters.ts';

const maxReads = 10_000;
/** What a follower asked of the leader is asked again so often: it may have been lost. */
const askAgainTicks = 4;

/** A Ready whose writes are under way. */
interface Writing {
  readonly ready: Ready;
  done: boolean;
}

export class RaftNode<T> implements AsyncDisposable {
  readonly #options: NodeOptions;
  readonly #ports: NodePorts<T>;
  readonly #storage: Storage;
  readonly #raft: Raft;
  readonly #waiters = new Waiters<T>();
  readonly #writing: Writing[] = [];
  readonly #reads = new Map<number, PromiseWithResolvers<number>>();
  readonly #barriers: { index: number; resolve: () => void }[] = [];
  #readId = 0;
  #ticks = 0;
  #applied: number;
  #lastSnapshot: number;
  #bytesSinceSnapshot = 0;
  #snapshotting = false;
  /** A snapshot is to replace what was encrypted with an older key. */
  #keyRenewed: boolean;
  #installing: Promise<void> | undefined;
  #incoming: { index: number; data: Uint8Array } | undefined;
  readonly #hardState: HardStateWriter;
  #failure: unknown;
  #scheduled = false;
  #closed = false;
  #stopTicks: () => void;

  private constructor(
    options: NodeOptions,
    ports: NodePorts<T>,
    storage: Storage,
    raft: Raft,
    start: { applied: number; hardState: HardState },
  ) {
    this.#options = options;
    this.#ports = ports;
    this.#storage = storage;
    this.#keyRenewed = storage.staleIndex > 0;
    this.#raft = raft;
    this.#applied = start.applied;
    this.#lastSnapshot = start.applied;
    this.#hardState = new HardStateWriter(start.hardState);
    this.#stopTicks = ports.everyMs(options.tickMs, () => this.#tick());
  }

  /**
   * Opens the folder and replays it into the state machine. A folder that holds nothing yet becomes
   * the first node of a new group (`bootstrap`), or waits to be added to one.
   */
  static async open<T>(options: NodeOptions, ports: NodePorts<T>): Promise<RaftNode<T>> {
    const storage = await Storage.open(options.storage);
    try {
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
    this.#stopTicks();
    this.#rejectAll(new RaftError('closed', 'this node has been closed'));
    await this.#storage[Symbol.asyncDispose]();
  }

  get status(): RaftStatus {
    return { ...this.#raft.status, appliedIndex: this.#applied };
  }

  progressOf(node: NodeId) {
    return this.#raft.progressOf(node);
  }

  /**
   * Resolves with what the state machine returned, once the entry is committed and applied here.
   * Rejects with RaftError: `not-leader`, `busy`, or `lost` when the lead was lost meanwhile (then
   * the entry may or may not be committed).
   */
  propose(data: Uint8Array): Promise<T> {
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

  /** Resolves when everything acknowledged by any leader before the call is applied here. */
  async readBarrier(): Promise<void> {
    this.#check();
    if (this.#reads.size >= maxReads) throw new RaftError('busy', `${maxReads} reads wait already`);
    const requestId = ++this.#readId;
    const dropped = this.#raft.readIndex(requestId);
    if (dropped !== undefined) throw refusal(dropped);
    const answer = Promise.withResolvers<number>();
    this.#reads.set(requestId, answer);
    this.#schedule();
    await this.#appliedTo(await answer.promise);
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
    if (message.type === 'snapshot') {
      if (snapshotData === undefined) return;
      this.#incoming = { index: message.snapshot.index, data: snapshotData };
    }
    this.#raft.step(message);
    this.#schedule();
  }

  reportUnreachable(node: NodeId): void {
    if (this.#closed) return;
    this.#raft.reportUnreachable(node);
    this.#schedule();
  }

  #tick(): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#raft.tick();
    this.#ticks += 1;
    if (this.#ticks % askAgainTicks === 0) this.#askAgain();
    this.#schedule();
  }

  /** Whatever is answered twice is taken once. A leader's own reads go with every heartbeat. */
  #askAgain(): void {
    if (this.#raft.status.role === 'leader') return;
    for (const requestId of this.#reads.keys()) this.#raft.readIndex(requestId);
  }

  async #proposed(propose: () => Dropped | undefined): Promise<T> {
    this.#check();
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
    if (ready.softState !== undefined) this.#leadershipChanged(ready.softState);
    this.#send(ready.messages);
    const snapshotData = ready.snapshot && this.#restore(ready.snapshot);
    for (const entry of ready.committed) this.#apply(entry);
    if (ready.conf !== undefined) this.#ports.onMembership?.(ready.conf);
    this.#write(ready, snapshotData);
    for (const { requestId, index } of ready.reads) {
      this.#reads.get(requestId)?.resolve(index);
      this.#reads.delete(requestId);
    }
    this.#releaseBarriers();
    this.#maybeSnapshot();
  }

  #write(ready: Ready, snapshotData: Uint8Array | undefined): void {
    const state = this.#hardState.next(ready);
    const writing: Writing = { ready, done: false };
    this.#writing.push(writing);
    if (ready.snapshot === undefined && ready.entries.length === 0 && state === undefined) {
      writing.done = true;
      this.#finishWrites();
      return;
    }
    this.#persist(ready, state, snapshotData).then(
      () => {
        writing.done = true;
        this.#finishWrites();
        this.#drive();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  async #persist(
    { snapshot, entries }: Ready,
    state: HardState | undefined,
    snapshotData: Uint8Array | undefined,
  ): Promise<void> {
    if (snapshot !== undefined && snapshotData !== undefined) {
      // What follows belongs behind the snapshot on the disk, so it waits for it.
      // One by one: an older one that ended later would take the log back.
      this.#installing = this.#install(this.#installing, snapshot, snapshotData);
    }
    await this.#installing;
    await this.#storage.write(entries, state);
  }

  async #install(
    earlier: Promise<void> | undefined,
    snapshot: SnapshotMeta,
    data: Uint8Array,
  ): Promise<void> {
    await earlier;
    await this.#storage.installSnapshot(snapshot, data);
  }

  #finishWrites(): void {
    while (this.#writing[0]?.done && !this.#closed) {
      const { ready } = this.#writing.shift() as Writing;
      this.#send(ready.messagesAfterPersist);
      this.#raft.persisted(ready.number);
    }
    this.#schedule();
  }

  #apply(entry: Entry): void {
    this.#applied = entry.index;
    this.#bytesSinceSnapshot += entry.data.length;
    const isOwn = entry.kind === 'normal' && entry.data.length > 0;
    const result = isOwn ? this.#ports.machine.apply(entry.index, entry.data) : undefined;
    this.#waiters.settle(entry.index, entry.term, result as T);
  }

  #restore(snapshot: SnapshotMeta): Uint8Array {
    const data = this.#incoming?.index === snapshot.index ? this.#incoming.data : undefined;
    if (data === undefined) throw new RaftError('failed', 'a snapshot came without its state');
    this.#ports.machine.restore(snapshot.index, data);
    this.#applied = snapshot.index;
    this.#lastSnapshot = snapshot.index;
    this.#bytesSinceSnapshot = 0;
    this.#incoming = undefined;
    return data;
  }

  #leadershipChanged(soft: SoftState): void {
    if (soft.role !== 'leader') {
      const lost = 'the leader changed before the outcome was known: look before you try again';
      this.#waiters.rejectAll(new RaftError('lost', lost));
    }
    for (const read of this.#reads.values()) {
      read.reject(new RaftError('lost', 'the leader changed during the read: try again'));
    }
    this.#reads.clear();
    this.#ports.onLeadership?.(soft);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type === 'snapshot') void this.#sendSnapshot(message);
      else this.#ports.transport.send(message);
    }
  }

  async #sendSnapshot(message: Message & { type: 'snapshot' }): Promise<void> {
    let delivered = false;
    try {
      const found = await this.#storage.readSnapshot();
      if (found !== undefined) {
        const actual = { ...message, snapshot: found.meta };
        await this.#ports.transport.sendSnapshot(actual, found.data);
        delivered = true;
      }
    } catch (error) {
      this.#ports.onProblem?.('a snapshot could not be sent', error);
    }
    if (this.#closed) return;
    this.#raft.reportSnapshot(message.to, delivered);
    this.#schedule();
  }

  #maybeSnapshot(): void {
    const due =
      this.#applied - this.#lastSnapshot >= this.#options.snapshotEntries ||
      this.#bytesSinceSnapshot >= this.#options.snapshotBytes ||
      (this.#keyRenewed && this.#applied > 0 && this.#applied >= this.#storage.staleIndex);
    if (!due || this.#snapshotting || this.#closed) return;
    this.#snapshotting = true;
    this.#snapshot()
      .catch((error: unknown) => {
        // The log goes on without: it only stays longer than it might.
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
    this.#lastSnapshot = index;
    this.#bytesSinceSnapshot = 0;
    const covered = this.#keyRenewed && index >= this.#storage.staleIndex;
    if (covered) this.#keyRenewed = false;
    await this.#storage.saveSnapshot(meta, this.#ports.machine.snapshotParts());
    if (this.#closed) return;
    const compactTo = Math.max(0, index - this.#options.keepEntries);
    this.#raft.compact(meta, compactTo);
    // The disk need not keep what is under an old key for followers: they can take the snapshot.
    await this.#storage.compact(covered ? Math.max(compactTo, index) : compactTo);
  }

  async #appliedTo(index: number): Promise<void> {
    if (this.#applied >= index) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#barriers.push({ index, resolve });
    await promise;
    this.#check();
  }

  #releaseBarriers(): void {
    for (let at = this.#barriers.length - 1; at >= 0; at--) {
      const barrier = this.#barriers[at];
      if (barrier === undefined || barrier.index > this.#applied) continue;
      this.#barriers.splice(at, 1);
      barrier.resolve();
    }
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
    this.#stopTicks();
    this.#rejectAll(new RaftError('failed', 'this node has stopped after a failure', error));
    this.#ports.onFailure(error);
  }

  #rejectAll(error: RaftError): void {
    this.#waiters.rejectAll(error);
    for (const read of this.#reads.values()) read.reject(error);
    this.#reads.clear();
    for (const barrier of this.#barriers.splice(0)) barrier.resolve();
  }

  /** Everyone of the present membership but this node. */
  get peers(): readonly NodeId[] {
    return everyone(this.#raft.status.conf).filter((node) => node !== this.#options.raft.id);
  }
}

function refusal(dropped: Dropped): RaftError {
  if (dropped === 'no-leader') return new RaftError('no-leader', 'there is no leader at present');
  if (dropped === 'not-leader') return new RaftError('not-leader', 'this node is not the leader');
  if (dropped === 'conf-pending') {
    return new RaftError('busy', 'a membership change is under way: try again when it is done');
  }
  if (dropped === 'transferring') {
    return new RaftError('busy', 'the leadership is being handed over: try again');
  }
  return new RaftError('busy', 'too many proposals are under way: try again');
}
