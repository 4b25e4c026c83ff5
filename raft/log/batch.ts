/** Records of several appends, as the bytes of one write. */
import { recordPlace } from './cipher.ts';
import type { Contents } from './contents.ts';
import { encodeRecord, recordBytes, type LogRecord } from './record.ts';
import type { Segment } from './segment.ts';

/** An append that waits to be durable. */
export interface Pending {
  readonly records: readonly LogRecord[];
  /** The first record that was not written yet. */
  next: number;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Batch {
  readonly bytes: Buffer;
  readonly #segment: Segment;
  readonly #taken: { readonly pending: Pending; readonly record: LogRecord; bytes: number }[] = [];
  #checksum: number;

  /** Takes as many records of the queue, in order, as there is room for. */
  constructor(segment: Segment, queue: readonly Pending[], room: number) {
    this.#segment = segment;
    this.#checksum = segment.checksum;
    let size = 0;
    take: for (const pending of queue) {
      for (const record of pending.records.slice(pending.next)) {
        const bytes = recordBytes(record.payload.length + segment.cipher.overheadBytes);
        if (size + bytes > room) break take;
        this.#taken.push({ pending, record, bytes });
        size += bytes;
      }
    }
    this.bytes = Buffer.allocUnsafe(size);
    const context = { seed: segment.seed, durable: segment.end };
    let at = 0;
    for (const { record, bytes } of this.#taken) {
      const previous = this.#checksum;
      const place = recordPlace(record, { sequence: segment.sequence, offset: segment.end + at });
      const encrypted = { ...record, payload: segment.cipher.encrypt(record.payload, place) };
      this.#checksum = encodeRecord(this.bytes, at, encrypted, { ...context, previous });
      at += bytes;
    }
  }

  /** The bytes are durable: the records now belong to the log. */
  commit(contents: Contents): void {
    const segment = this.#segment;
    for (const { pending, record, bytes } of this.#taken) {
      contents.add(record, { segment, offset: segment.end, bytes, term: record.term });
      segment.end += bytes;
      pending.next += 1;
    }
    segment.checksum = this.#checksum;
  }
}
