/** A stream to write text to, and what is known of the terminal behind it. */
export class Output {
  readonly #stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number };

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Characters in a line of the terminal; 80 where there is none. */
  get columns(): number {
    return this.#stream.columns ?? 80;
  }

  /** Lines that the terminal shows at once; 24 where there is none. */
  get rows(): number {
    return this.#stream.rows ?? 24;
  }

  write(text: string | Uint8Array): void {
    this.#stream.write(text);
  }

  line(text = ''): void {
    this.#stream.write(`${text}\n`);
  }

  /** Resolves once the stream wants more, so that a slow reader does not fill the memory. */
  async drained(text: string | Uint8Array): Promise<void> {
    if (this.#stream.write(text)) return;
    await new Promise<void>((resolve) => this.#stream.once('drain', resolve));
  }
}
