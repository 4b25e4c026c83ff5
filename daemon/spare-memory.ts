/**
 * Gives back what a burst of work has left behind. V8 lets its heap grow to several times what
 * lives in it, and the C library keeps what was freed in between: of 184 MB that a daemon had once
 * it had started 300 tasks, 66 were in use.
 */
import { cpus } from 'node:os';
import koffi from 'koffi';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';

export interface Memory {
  /** All that the kernel has given this process. */
  residentBytes(): number;
  /** What V8 takes for alive or has not looked at. */
  heapBytes(): number;
  /** Processor time that this process has used since it began. */
  cpuMs(): number;
  /** Time that the host's processors have been idle since it began, on average. */
  hostIdleMs(): number;
  /** Finds garbage. Everything else stands still meanwhile: some milliseconds for each megabyte. */
  collect(): void;
  /** Hands pages back to the kernel that the C library has no use for. */
  release(): void;
}

const lookMs = 5_000;
/** What was collected is freed in the background. */
const settleMs = 500;
/** Who uses less of a core than this has nothing urgent to do. */
const calmShare = 0.1;
/** On a busy host a pause would be many times as long, and other managers might take over. */
const idleShare = 0.5;
/** Less than this more than after the last time is left alone. */
const worthBytes = 8 * 2 ** 20;
/** Above this it would keep everything waiting for too long: V8 collects by and by, as ever. */
const collectedHeapBytes = 128 * 2 ** 20;

export class SpareMemory implements Disposable {
  readonly #memory: Memory;
  readonly #clock: Clock;
  readonly #log: Logger;
  #timer: Timer | undefined;
  #cpuMs = 0;
  #hostIdleMs = 0;
  #atMs = 0;
  /** What this process had after the last time. */
  #keptBytes = 0;

  constructor(memory: Memory, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#memory = memory;
    this.#clock = clock;
    this.#log = log;
  }

  /** Looks every few seconds from now on. */
  start(): void {
    this.#cpuMs = this.#memory.cpuMs();
    this.#hostIdleMs = this.#memory.hostIdleMs();
    this.#atMs = this.#clock.monotonicMs();
    this.#timer = this.#clock.after(lookMs, () => {
      if (this.#isWorthIt()) this.#collect();
      else this.start();
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #isWorthIt(): boolean {
    const passedMs = this.#clock.monotonicMs() - this.#atMs;
    if (this.#memory.cpuMs() - this.#cpuMs > calmShare * passedMs) return false;
    if (this.#memory.hostIdleMs() - this.#hostIdleMs < idleShare * passedMs) return false;
    const residentBytes = this.#memory.residentBytes();
    // The kernel may have taken pages back by itself.
    this.#keptBytes = Math.min(this.#keptBytes, residentBytes);
    return residentBytes >= this.#keptBytes + worthBytes;
  }

  #collect(): void {
    const residentBytes = this.#memory.residentBytes();
    if (this.#memory.heapBytes() <= collectedHeapBytes) this.#memory.collect();
    this.#timer = this.#clock.after(settleMs, () => {
      this.#memory.release();
      this.#keptBytes = this.#memory.residentBytes();
      this.#log.debug('memory was given back', { residentBytes, keptBytes: this.#keptBytes });
      this.start();
    });
  }
}

/** This process's own. Without Node's `--expose-gc`, V8 is left to itself. */
export function processMemory(): Memory {
  const trim = koffi.load('libc.so.6').func('int malloc_trim(size_t pad)');
  return {
    residentBytes: () => process.memoryUsage.rss(),
    heapBytes: () => process.memoryUsage().heapUsed,
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    hostIdleMs: () => {
      const all = cpus();
      return all.reduce((sum, { times }) => sum + times.idle, 0) / Math.max(1, all.length);
    },
    // Moves what is left together as well, so that whole pages come free.
    collect: () => globalThis.gc?.({ type: 'major', flavor: 'last-resort' }),
    release() {
      trim(0);
    },
  };
}
