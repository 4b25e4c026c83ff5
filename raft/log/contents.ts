/** Which entries the log holds, and where: what its records, read in order, come to. */
import type { FoundRecord } from './record.ts';
import type { Segment } from './segment.ts';

interface Place {
  readonly segment: Segment;
  readonly offset: number;
  readonly bytes: number;
  readonly term: number;
}

export class Contents {
  #firstIndex = 1;
  #places: Place[] = [];
  #restartSequence = 0;
  /** The latest state record's payload. */
  state: Uint8Array | undefined;

  get firstIndex(): number {
    return this.#firstIndex;
  }

  /** One below `firstIndex` where there are none. */
  get lastIndex(): number {
    return this.#firstIndex + this.#places.length - 1;
  }

  place(index: number): Place | undefined {
    return index < this.#firstIndex ? undefined : this.#places[index - this.#firstIndex];
  }

  /** Takes in a record. Returns false for an entry that leaves a gap after the last one. */
  add(record: Pick<FoundRecord, 'kind' | 'index' | 'term' | 'payload'>, place: Place): boolean {
    const { kind, index } = record;
    if (kind === 'state') this.state = Uint8Array.from(record.payload);
    if (kind === 'restart') {
      this.#restartSequence = place.segment.sequence;
      this.#firstIndex = index + 1;
      this.#places = [];
    }
    if (kind !== 'entry') return true;
    if (index > this.lastIndex + 1) return false;
    if (index < this.#firstIndex) this.#firstIndex = index;
    this.#places.length = index - this.#firstIndex;
    this.#places.push(place);
    place.segment.maxIndex = Math.max(place.segment.maxIndex, index);
    return true;
  }

  /** Entries from here on are expected next: what a first segment's header says. */
  expect(index: number): void {
    if (this.#places.length === 0) this.#firstIndex = index;
  }

  /** Nothing in the segment is needed by one who needs only the entries above the index. */
  canDrop(segment: Segment, upToIndex: number): boolean {
    return segment.sequence < this.#restartSequence || segment.maxIndex <= upToIndex;
  }

  /** Forgets the entries that were in the segment, which is the oldest. */
  drop(segment: Segment): void {
    const kept = this.#places.findIndex((place) => place.segment !== segment);
    const count = kept < 0 ? this.#places.length : kept;
    this.#firstIndex += count;
    this.#places.splice(0, count);
  }
}
