/** The progress of a build as clients of BuildKit read it: JSON lines with protobuf inside. */
import { noteHandled } from '../lib/errors.ts';
import { TraceBuffer, wordsOf, type TraceUpdate } from '../worker/build/index.ts';
import type { Exchange } from './exchange.ts';

/** Of output that waits for its reader. */
const maxWaitingBytes = 4 * 1024 * 1024;

interface Options {
  /** The client wants to hear of steps only if the build fails. */
  readonly isQuiet: boolean;
}

export class TraceStream {
  readonly #exchange: Exchange;
  readonly #options: Options;
  readonly #waiting = new TraceBuffer();
  #pumping: Promise<void> | undefined;

  constructor(exchange: Exchange, options: Options) {
    this.#exchange = exchange;
    this.#options = options;
  }

  /** A client that reads slowly loses output, and not its build. */
  emit(update: TraceUpdate): void {
    this.#waiting.add(update);
    if (!this.#options.isQuiet) this.#pump();
    this.#waiting.forget(maxWaitingBytes);
  }

  /** Runs a build, and ends the answer with the id of its image. */
  async run(work: () => Promise<string>): Promise<void> {
    const exchange = this.#exchange;
    const { isQuiet } = this.#options;
    try {
      const id = await work();
      await this.#pumping;
      if (!exchange.started) exchange.begin('application/json');
      if (isQuiet) await this.#line({ stream: `${id}\n` });
      else await this.#line({ id: 'moby.image.id', aux: { ID: id } });
    } catch (thrown) {
      if (exchange.signal.aborted) throw thrown;
      await (this.#pumping ?? this.#write());
      const message = wordsOf(thrown);
      await this.#line({ errorDetail: { message }, error: message });
    }
    exchange.end();
  }

  #pump(): void {
    if (this.#pumping !== undefined) return;
    this.#pumping = this.#write();
    // A client that left has aborted the exchange; `run` then ends with that error.
    this.#pumping.catch(noteHandled);
  }

  /** What has come since is one message. */
  async #write(): Promise<void> {
    if (!this.#exchange.started) this.#exchange.begin('application/json');
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
      await this.#line({ id: 'moby.buildkit.trace', aux: Buffer.from(next).toString('base64') });
    }
    this.#pumping = undefined;
  }

  #line(document: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#exchange.write(`${JSON.stringify(document)}\n`);
  }
}
