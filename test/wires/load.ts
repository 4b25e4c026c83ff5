/** Clients that ask again and again until they are stopped, and remember what failed. */
export class Load implements AsyncDisposable {
  readonly failures: unknown[] = [];
  asked = 0;
  readonly #over = new AbortController();
  readonly #clients: readonly Promise<void>[];

  constructor(asks: readonly (() => Promise<unknown>)[]) {
    this.#clients = asks.map((ask) => this.#run(ask));
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#clients);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(ask: () => Promise<unknown>): Promise<void> {
    while (!this.#over.signal.aborted) {
      this.asked++;
      await ask().catch((error: unknown) => this.failures.push(error));
    }
  }
}
