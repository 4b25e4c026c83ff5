/** Output that waits for its log in bounded memory, so that its container does not wait for it. */
import type { Clock } from '../../../lib/clock.ts';

interface Chunk<S> {
  readonly source: S;
  readonly bytes: Uint8Array;
  /** Others of its source were lost before it: it may begin in the middle of a line. */
  readonly isAfterGap: boolean;
}

interface LogRingParts<S> {
  readonly maxBytes: number;
  /** Writes a chunk; resolves with how long to rest after it. */
  readonly write: (chunk: Chunk<S>) => Promise<number>;
  /** So much was lost, and now there is room again. */
  readonly onLost: (lostBytes: number) => void;
  readonly clock: Clock;
}

export class LogRing<S> {
  readonly #parts: LogRingParts<S>;
  readonly #chunks: Chunk<S>[] = [];
  readonly #gaps = new Set<S>();
  #bytes = 0;
  #lostBytes = 0;
  #working: Promise<void> | undefined;

  constructor(parts: LogRingParts<S>) {
    this.#parts = parts;
  }

  /** Keeps a copy, or loses it where there is no room. */
  put(source: S, bytes: Uint8Array): void {
    if (this.#bytes + bytes.length > this.#parts.maxBytes) {
      this.#gaps.add(source);
      this.#lostBytes += bytes.length;
      return;
    }
    const isAfterGap = this.#gaps.delete(source);
    this.#chunks.push({ source, bytes: Buffer.from(bytes), isAfterGap });
    this.#bytes += bytes.length;
    this.#working ??= this.#work();
  }

  /** Resolves once all that was kept is written. */
  async settled(): Promise<void> {
    await this.#working;
    this.#tellLost();
  }

  async #work(): Promise<void> {
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const restMs = await this.#parts.write(chunk);
      this.#chunks.shift();
      this.#bytes -= chunk.bytes.length;
      if (chunk.isAfterGap) this.#tellLost();
      if (restMs > 0) await this.#parts.clock.sleep(restMs);
    }
    this.#working = undefined;
  }

  #tellLost(): void {
    if (this.#lostBytes === 0) return;
    this.#parts.onLost(this.#lostBytes);
    this.#lostBytes = 0;
  }
}
