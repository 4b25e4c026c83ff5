/**
 * Brings what Readies say to the disk, in order. Writes are pipelined. One that found the disk full
 * is made again, with all that came behind it, until there is room.
 */
import type { HardState, Message, Ready, SnapshotMeta } from '../core/index.ts';
import { LogError } from '../log/index.ts';

/** The part of Storage that a writer needs. */
export interface WriterDisk {
  /** Writes that were not kept so far: those that follow one must not be made. */
  readonly failures: number;
  write(
    entries: Ready['entries'],
    hardState: HardState | undefined,
    failures: number,
  ): Promise<void>;
  installSnapshot(meta: SnapshotMeta, data: Uint8Array, failures: number): Promise<void>;
}

interface WriterEvents {
  /** The Ready of that number and all before it are durable. */
  onDurable(number: number, messages: readonly Message[], settle: readonly (() => void)[]): void;
  /** The disk is full: nothing becomes durable until `onRoom`. */
  onFull(error: LogError): void;
  onRoom(): void;
  onFailure(error: unknown): void;
}

export interface WriteRequest {
  readonly ready: Ready;
  readonly state: HardState | undefined;
  readonly snapshotData: Uint8Array | undefined;
  /** To be called when it is durable. */
  readonly settle: readonly (() => void)[];
}

interface Write {
  number: number;
  /** Undefined for what has nothing for the disk, and only waits for what has. */
  readonly request: WriteRequest | undefined;
  readonly messages: Message[];
  readonly settle: (() => void)[];
  isBegun: boolean;
  isDone: boolean;
}

/** Ticks between attempts to write to a full disk: at first, and at most, as each fills it up. */
const firstRetryTicks = 10;
const maxRetryTicks = 80;

export class Writer {
  readonly #disk: WriterDisk;
  readonly #events: WriterEvents;
  /** Oldest first. */
  readonly #queue: Write[] = [];
  #installing: Promise<void> = Promise.resolve();
  #underWay = 0;
  /** Those of the disk that this writer has seen. */
  #failures: number;
  /** The first of the writes that failed since all was well. */
  #failed: { write: Write; error: unknown } | undefined;
  #isFull = false;
  #retryTicks = 0;
  #ticksUntilRetry = 0;

  constructor(disk: WriterDisk, events: WriterEvents) {
    this.#disk = disk;
    this.#failures = disk.failures;
    this.#events = events;
  }

  /** The disk is full. What would have to be written should not be taken. */
  get isFull(): boolean {
    return this.#isFull;
  }

  add(request: WriteRequest): void {
    const { ready, state, settle } = request;
    const isWrite = ready.snapshot !== undefined || ready.entries.length > 0 || state !== undefined;
    const last = this.#queue.at(-1);
    if (!isWrite && last !== undefined && last.request === undefined) {
      // Behind a write that takes long, all that only waits for it is kept as one.
      last.number = ready.number;
      last.messages.push(...ready.messagesAfterPersist);
      last.settle.push(...settle);
      return;
    }
    const write: Write = {
      number: ready.number,
      request: isWrite ? request : undefined,
      messages: [...ready.messagesAfterPersist],
      settle: [...settle],
      isBegun: false,
      isDone: !isWrite,
    };
    this.#queue.push(write);
    if (isWrite && this.#failed === undefined && !this.#isFull) this.#begin(write);
    this.#finish();
  }

  tick(): void {
    if (!this.#isFull || this.#underWay > 0) return;
    this.#ticksUntilRetry -= 1;
    if (this.#ticksUntilRetry > 0) return;
    this.#retryTicks = Math.min(2 * this.#retryTicks, maxRetryTicks);
    this.#ticksUntilRetry = this.#retryTicks;
    this.#beginAll();
  }

  #beginAll(): void {
    for (const write of this.#queue) {
      if (!write.isDone && !write.isBegun) this.#begin(write);
    }
  }

  #begin(write: Write): void {
    if (write.request === undefined) return;
    write.isBegun = true;
    this.#underWay += 1;
    this.#persist(write.request).then(
      () => {
        this.#underWay -= 1;
        // What was written behind a gap does not count.
        if (this.#failed === undefined) this.#written(write);
        else this.#settled();
      },
      (error: unknown) => {
        this.#underWay -= 1;
        const { number } = write;
        if (this.#failed === undefined || number < this.#failed.write.number) {
          this.#failed = { write, error };
        }
        this.#settled();
      },
    );
  }

  async #persist({ ready, state, snapshotData }: WriteRequest): Promise<void> {
    const { snapshot, entries } = ready;
    const failures = this.#failures;
    if (snapshot !== undefined && snapshotData !== undefined) {
      // What follows belongs behind the snapshot on the disk, so it waits for it.
      const earlier = this.#installing;
      this.#installing = earlier.then(() =>
        this.#disk.installSnapshot(snapshot, snapshotData, failures),
      );
    }
    await this.#installing;
    await this.#disk.write(entries, state, failures);
  }

  #written(write: Write): void {
    write.isDone = true;
    if (this.#isFull) {
      this.#isFull = false;
      this.#events.onRoom();
      // Those that came while it was tried.
      this.#beginAll();
    }
    this.#finish();
  }

  /** A write failed, and with it those behind it: what is to be done shows when all have ended. */
  #settled(): void {
    if (this.#underWay > 0 || this.#failed === undefined) return;
    const { error } = this.#failed;
    this.#failed = undefined;
    for (const write of this.#queue) write.isBegun = false;
    this.#failures = this.#disk.failures;
    this.#installing = Promise.resolve();
    if (!(error instanceof LogError) || (error.code !== 'full' && error.code !== 'busy')) {
      this.#events.onFailure(error);
      return;
    }
    if (error.code === 'busy') {
      // All that waited has been written meanwhile.
      this.#beginAll();
      return;
    }
    if (this.#isFull) return;
    this.#isFull = true;
    this.#retryTicks = firstRetryTicks;
    this.#ticksUntilRetry = firstRetryTicks;
    this.#events.onFull(error);
  }

  #finish(): void {
    while (this.#queue[0]?.isDone) {
      const { number, messages, settle } = this.#queue.shift() as Write;
      this.#events.onDurable(number, messages, settle);
    }
  }
}
