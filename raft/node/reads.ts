/** Reads that wait for the leader's answer, and then until this node has applied so far. */
import type { Dropped } from '../core/index.ts';
import { diskIsFull, RaftError, refusal } from './errors.ts';

const maxReads = 10_000;
/** What a follower asked of the leader is asked again so often: it may have been lost. */
const askAgainTicks = 4;

interface Read {
  /** Undefined until the leader has answered. */
  index: number | undefined;
  ticksLeft: number;
  readonly resolve: () => void;
  readonly reject: (error: RaftError) => void;
}

interface ReadsOptions {
  /**
   * The first read's number, at random: answers to reads of before a restart may still be under
   * way, and must not be taken for answers to later ones.
   */
  readonly firstId: number;
  /** A read fails when it has waited so long. */
  readonly maxTicks: number;
  /** Where the log is: for an error that names it. */
  readonly folder: string;
  readonly ask: (requestId: number) => Dropped | undefined;
}

export class Reads {
  readonly #options: ReadsOptions;
  readonly #reads = new Map<number, Read>();
  #nextId: number;
  #ticks = 0;
  #applied: number;
  #isDiskFull = false;

  constructor(options: ReadsOptions, applied: number) {
    this.#options = options;
    this.#nextId = options.firstId;
    this.#applied = applied;
  }

  /** Resolves when what was acknowledged before is applied here. Rejects with RaftError. */
  start(): Promise<void> {
    if (this.#reads.size >= maxReads) throw new RaftError('busy', `${maxReads} reads wait already`);
    const requestId = this.#nextId++;
    const dropped = this.#options.ask(requestId);
    if (dropped !== undefined) {
      throw this.#isDiskFull ? diskIsFull(this.#options.folder) : refusal(dropped);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ticksLeft = this.#options.maxTicks;
    this.#reads.set(requestId, { index: undefined, ticksLeft, resolve, reject });
    return promise;
  }

  /** An answer that comes twice, or too late, says nothing new. */
  answered(requestId: number, index: number): void {
    const read = this.#reads.get(requestId);
    if (read === undefined || read.index !== undefined) return;
    read.index = index;
    this.#release(requestId, read);
  }

  /** Nothing more is applied while it is: what is there already can still be read. */
  diskIsFull(isFull: boolean): void {
    this.#isDiskFull = isFull;
    for (const [requestId, read] of this.#reads) this.#release(requestId, read);
  }

  appliedTo(index: number): void {
    if (index === this.#applied) return;
    this.#applied = index;
    for (const [requestId, read] of this.#reads) this.#release(requestId, read);
  }

  /** A leader's own reads go with every heartbeat; a follower's must be asked again. */
  tick(isLeader: boolean): void {
    this.#ticks += 1;
    const asksAgain = !isLeader && this.#ticks % askAgainTicks === 0;
    for (const [requestId, read] of this.#reads) {
      read.ticksLeft -= 1;
      if (read.ticksLeft <= 0) {
        this.#reads.delete(requestId);
        read.reject(new RaftError('lost', 'the read was not answered in time: try again'));
      } else if (asksAgain && read.index === undefined) {
        this.#options.ask(requestId);
      }
    }
  }

  /** Those that the leader has answered stay right under another leader. */
  leaderChanged(): void {
    for (const [requestId, read] of this.#reads) {
      if (read.index !== undefined) continue;
      this.#reads.delete(requestId);
      read.reject(new RaftError('lost', 'the leader changed during the read: try again'));
    }
  }

  rejectAll(error: RaftError): void {
    const waiting = [...this.#reads.values()];
    this.#reads.clear();
    for (const { reject } of waiting) reject(error);
  }

  #release(requestId: number, read: Read): void {
    if (read.index === undefined) return;
    const isApplied = read.index <= this.#applied;
    if (!isApplied && !this.#isDiskFull) return;
    this.#reads.delete(requestId);
    if (isApplied) read.resolve();
    else read.reject(diskIsFull(this.#options.folder));
  }
}
