/** What is to happen, in the order of virtual time; at one moment, in the order of its making. */
interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Agenda {
  #now = 0;
  #orders = 0;
  /** A binary heap: the earliest is the first. */
  readonly #heap: Event[] = [];

  get now(): number {
    return this.#now;
  }

  after(delay: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ at: this.#now + Math.max(0, delay), order: this.#orders++, run });
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at] as Event, heap[parent] as Event)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** Takes the next event and moves time on to it. Undefined when nothing is to happen. */
  next(): Event | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    this.#now = first.at;
    return first;
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && isBefore(heap[child] as Event, heap[least] as Event)) {
          least = child;
        }
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    const kept = heap[a] as Event;
    heap[a] = heap[b] as Event;
    heap[b] = kept;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
