/** Answers of other name servers, for as long as they allow; bounded in number and in bytes. */
import { aged, lifetimeSeconds } from './wire.ts';

interface Entry {
  readonly message: Buffer;
  readonly storedMs: number;
  readonly untilMs: number;
}

interface CacheLimits {
  readonly entries: number;
  readonly bytes: number;
  /** Seconds; "there is no such name" is believed for a shorter time than an address. */
  readonly positiveSeconds: number;
  readonly negativeSeconds: number;
}

export class AnswerCache {
  readonly #limits: CacheLimits;
  /** The one that was asked for longest ago comes first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A copy whose times to live are what is left of them. */
  get(key: string, nowMs: number): Buffer | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#delete(key);
    if (nowMs >= entry.untilMs) return undefined;
    this.#put(key, entry);
    return aged(entry.message, Math.floor((nowMs - entry.storedMs) / 1000));
  }

  /** Keeps the answer where it may be kept. */
  set(key: string, message: Buffer, nowMs: number): void {
    const isPositive = message.readUInt16BE(6) > 0;
    const { positiveSeconds, negativeSeconds } = this.#limits;
    const longest = isPositive ? positiveSeconds : negativeSeconds;
    const seconds = Math.min(lifetimeSeconds(message), longest);
    if (seconds <= 0) return;
    this.#delete(key);
    this.#put(key, { message, storedMs: nowMs, untilMs: nowMs + seconds * 1000 });
    for (const oldest of this.#entries.keys()) {
      const isFull = this.#entries.size > this.#limits.entries || this.#bytes > this.#limits.bytes;
      if (!isFull) break;
      this.#delete(oldest);
    }
  }

  #put(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.message.length;
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.message.length;
  }
}
