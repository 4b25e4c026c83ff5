/** Between many writers and one reader: writers wait while it is full. */
export class BoundedQueue<T> {
  readonly #items: T[] = [];
  readonly #itemsMax: number;
  readonly #writers: (() => void)[] = [];
  #reader: (() => void) | undefined;
  #closed = false;

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  /** Resolves once there is room for more; false when nobody reads any longer. */
  async push(item: T): Promise<boolean> {
    if (this.#closed) return false;
    this.#items.push(item);
    this.#reader?.();
    while (this.#items.length >= this.#itemsMax && !this.#closed) {
      await new Promise<void>((resolve) => this.#writers.push(resolve));
    }
    return !this.#closed;
  }

  /** What is in the queue, as soon as there is something; nothing once it is closed and empty. */
  async take(): Promise<readonly T[] | undefined> {
    while (this.#items.length === 0) {
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
      this.#reader = undefined;
    }
    const items = this.#items.splice(0);
    this.#letWrite();
    return items;
  }

  /** Nothing more comes. What is in the queue may still be taken. */
  close(): void {
    this.#closed = true;
    this.#reader?.();
    this.#letWrite();
  }

  #letWrite(): void {
    for (const resolve of this.#writers.splice(0)) resolve();
  }
}
