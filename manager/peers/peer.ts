/**
 * What goes to one other manager: a bounded queue and one stream that is opened again when it
 * breaks. Whatever cannot be sent is dropped, and Raft told so.
 */
import { Raft as RaftService } from '../../gen/raft_pb.js';
import { linkAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Connection } from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Message } from '../../raft/index.ts';
import { encodeMessage } from './codec.ts';
import { merged } from './merge.ts';

const maxQueued = 4_096;
const maxQueuedBytes = 32 << 20;
const maxBatchBytes = 2 << 20;
const backoffMs = { first: 50, last: 1_000 } as const;
const lastingMs = 500;
const chunkBytes = 512 << 10;
const snapshotTimeoutMs = 10 * 60_000;

interface PeerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** A connection to where the peer is now; undefined while nobody knows. */
  readonly connect: () => Connection | undefined;
  /** The own cluster port's address, told with every batch. */
  readonly ownAddr: () => string;
  readonly onUnreachable: () => void;
}

export class Peer implements AsyncDisposable {
  readonly #parts: PeerParts;
  readonly #abort = new AbortController();
  /** The connection under way, and what ends it. */
  #present: { readonly addr: string; readonly calls: AbortController } | undefined;
  #endPause: (() => void) | undefined;
  #greets = false;
  #queue: Message[] = [];
  #queuedBytes = 0;
  #wake: (() => void) | undefined;
  readonly #pump: Promise<void>;
  #isUnreachable = false;
  #delayMs: number = backoffMs.first;

  constructor(parts: PeerParts) {
    this.#parts = parts;
    this.#pump = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#wake?.();
    this.#endPause?.();
    await this.#pump;
  }

  send(message: Message): void {
    const bytes = sizeOf(message);
    if (this.#queue.length >= maxQueued || this.#queuedBytes + bytes > maxQueuedBytes) {
      this.#drop('its queue is full');
      return;
    }
    this.#queue.push(message);
    this.#queuedBytes += bytes;
    this.#wake?.();
  }

  /** Tells the other where this manager is, and that it is there. */
  greet(): void {
    this.#greets = true;
    this.#wake?.();
  }

  /**
   * The other is there, at this address: it has called, or was found. Neither a pause nor a
   * connection to where it was before is waited for.
   */
  isAt(addr: string): void {
    this.#delayMs = backoffMs.first;
    this.#endPause?.();
    if (this.#present === undefined || this.#present.addr === addr) return;
    this.#present.calls.abort();
    this.#wake?.();
  }

  async sendSnapshot(message: Message, data: Uint8Array): Promise<void> {
    using connection = this.#parts.connect();
    if (connection === undefined) throw new Error('nobody knows where the manager is');
    const stream = connection.client(RaftService).installSnapshot({
      signal: this.#abort.signal,
      timeoutMs: snapshotTimeoutMs,
    });
    await stream.send({ message: encodeMessage(message), fromAddr: this.#parts.ownAddr() });
    for (let at = 0; at < data.length; at += chunkBytes) {
      await stream.send({ data: data.subarray(at, at + chunkBytes) });
    }
    await stream.finish();
  }

  async #run(): Promise<void> {
    while (await this.#hasWork(this.#abort.signal)) {
      using connection = this.#parts.connect();
      using calls = linkAbort(this.#abort.signal);
      try {
        if (connection === undefined) throw new Error('nobody knows where the manager is');
        this.#present = { addr: connection.addr, calls };
        await this.#stream(connection, calls.signal);
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        // It has moved, and what was to be said waits for the next connection.
        if (calls.signal.aborted) continue;
        this.#drop(messageOf(error));
      } finally {
        this.#present = undefined;
      }
      await this.#pause(this.#delayMs * (0.5 + this.#parts.random.float()));
      this.#delayMs = Math.min(this.#delayMs * 2, backoffMs.last);
    }
  }

  async #stream(connection: Connection, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const stream = connection.client(RaftService).exchange({ signal });
    const startMs = clock.monotonicMs();
    // Whoever is silent hears of its end as well: the next word is not said into a dead connection.
    stream.signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    while (await this.#hasWork(signal, stream.signal)) {
      // What else this turn of the event loop has to say goes along.
      await endOfTurn();
      this.#greets = false;
      await stream.send({
        messages: merged(this.#takeBatch()).map(encodeMessage),
        fromAddr: this.#parts.ownAddr(),
      });
      // What was sent may still wait for a connection: only a stream that lasts has reached
      // anybody.
      if (clock.monotonicMs() - startMs < lastingMs) continue;
      this.#reached();
      this.#delayMs = backoffMs.first;
    }
    signal.throwIfAborted();
    stream.signal.throwIfAborted();
  }

  #takeBatch(): Message[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && bytes < maxBatchBytes) {
      bytes += sizeOf(this.#queue[count++] as Message);
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /** Waits for something to send. False when a signal has aborted. */
  async #hasWork(...signals: readonly AbortSignal[]): Promise<boolean> {
    const isOver = () => signals.some(({ aborted }) => aborted);
    while (this.#queue.length === 0 && !this.#greets && !isOver()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
    return !isOver();
  }

  #reached(): void {
    if (this.#isUnreachable) this.#parts.log.info('the manager is reachable again');
    this.#isUnreachable = false;
  }

  #drop(reason: string): void {
    if (!this.#isUnreachable) this.#parts.log.warn('a manager cannot be reached', { reason });
    this.#isUnreachable = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#parts.onUnreachable();
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(delayMs, resolve);
    this.#endPause = resolve;
    await promise;
    this.#endPause = undefined;
    timer.cancel();
  }
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

const headerBytes = 200;

function sizeOf(message: Message): number {
  if (message.type !== 'append') return headerBytes;
  return message.entries.reduce((sum, entry) => sum + entry.data.length + 16, headerBytes);
}
