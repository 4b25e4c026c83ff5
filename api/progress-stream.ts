import { noteHandled, SwarmError } from '../lib/errors.ts';
import type { PullProgress } from '../worker/image/images.ts';
import type { Json } from './convert/json.ts';
import type { Exchange } from './exchange.ts';

/** Characters. */
const maxPrinted = 4 * 1024 * 1024;

/**
 * Progress as Docker streams it: a JSON document a line. Work that fails before its first line
 * fails with a status; later, the failure is the stream's last line. A slow client does not slow
 * the work down, and does not make memory grow: of each layer it sees the latest state.
 */
export class ProgressStream {
  readonly #exchange: Exchange;
  /** By layer; messages about the whole have keys of their own. */
  readonly #waiting = new Map<string, Json>();
  #messages = 0;
  /** The text that waits, and its key; both mean nothing once it is on its way. */
  #printed = '';
  #printKey = '';
  #pumping: Promise<void> | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Runs the work, and ends the answer with it. */
  async run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      if (!this.#exchange.started || this.#exchange.signal.aborted) throw thrown;
      const { message, details } = SwarmError.from(thrown);
      const code = typeof details['exitCode'] === 'number' ? details['exitCode'] : undefined;
      this.#put('error', { errorDetail: { code, message }, error: message });
    }
    await this.#pumping;
    if (!this.#exchange.started) this.#exchange.begin('application/json');
    this.#exchange.end();
  }

  report({ id, status, currentBytes, totalBytes, aux }: PullProgress): void {
    if (aux !== undefined) {
      this.#put(`message/${this.#messages++}`, { progressDetail: {}, aux });
      return;
    }
    if (id === undefined || status.startsWith('Pulling from ')) {
      this.#put(`message/${this.#messages++}`, { status, id });
      return;
    }
    const detail = { current: currentBytes, total: totalBytes };
    this.#put(`layer/${id}`, { status, progressDetail: detail, id });
  }

  /** A line about the work as a whole. */
  say(status: string): void {
    this.#put(`message/${this.#messages++}`, { status });
  }

  /**
   * Text that clients print as it is. What waits is one message: answers false once that is more
   * than a client that reads would let it become.
   */
  print(stream: string): boolean {
    const waiting = [...this.#waiting.keys()].at(-1) === this.#printKey ? this.#printed : '';
    this.#printed = waiting + stream;
    if (waiting === '') this.#printKey = `message/${this.#messages++}`;
    this.#waiting.set(this.#printKey, { stream: this.#printed });
    this.#pump();
    return this.#printed.length <= maxPrinted;
  }

  /** Text that programs look for: a message of its own, whatever else waits. */
  tell(stream: string): void {
    this.#printKey = '';
    this.#put(`message/${this.#messages++}`, { stream });
  }

  #put(key: string, line: Json): void {
    // The latest state of a layer takes its place at the end, so that lines stay in order of time.
    this.#waiting.delete(key);
    this.#waiting.set(key, line);
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping !== undefined) return;
    this.#pumping = this.#write();
    // A client that left has aborted the exchange; `run` then ends with that error.
    this.#pumping.catch(noteHandled);
  }

  async #write(): Promise<void> {
    if (!this.#exchange.started) this.#exchange.begin('application/json');
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) {
        this.#pumping = undefined;
        return;
      }
      const [key, line] = next;
      this.#waiting.delete(key);
      await this.#exchange.write(`${JSON.stringify(line)}\n`);
    }
  }
}
