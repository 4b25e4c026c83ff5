/** Where the daemon's log goes: a file, or standard error. */
import { write, writeSync } from 'node:fs';
import { errnoOf, messageOf } from '../lib/errors.ts';

/** Characters that wait for a slow reader or disk; lines beyond are lost, and counted. */
const maxWaiting = 1024 * 1024;
/** A pipe that is full takes more after a while. */
const retryMs = 100;

interface LogWriterOptions {
  readonly fd: number;
  /** Lines were lost before the one that was just written, the last of them for this reason. */
  readonly onLost: (lines: number, reason: string) => void;
  readonly write?: typeof write;
}

/**
 * Takes lines, and writes them in order. A log that cannot be written, as on a full disk, is no
 * reason for a daemon to end or to wait: its lines are lost until there is room again.
 */
export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #write: typeof write;
  #waiting: string[] = [];
  #waitingLength = 0;
  #isWriting = false;
  #lost = 0;
  #reason = '';

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#write = options.write ?? write;
  }

  write(line: string): void {
    if (this.#waitingLength + line.length > maxWaiting) {
      this.#lose(1, 'they came faster than they could be written');
      return;
    }
    this.#waiting.push(line);
    this.#waitingLength += line.length;
    if (!this.#isWriting) this.#next();
  }

  /** The process ends: what waits is written now, or never. */
  flushSync(): void {
    const { text } = this.#take();
    if (text === '') return;
    try {
      writeSync(this.#options.fd, text);
    } catch {
      // The process ends with this: what the log cannot take can be told nowhere else.
      return;
    }
  }

  #take(): { text: string; lines: number } {
    const taken = { text: this.#waiting.join(''), lines: this.#waiting.length };
    this.#waiting = [];
    this.#waitingLength = 0;
    return taken;
  }

  #next(): void {
    const { text, lines } = this.#take();
    this.#isWriting = lines > 0;
    if (lines > 0) this.#put(Buffer.from(text), lines);
  }

  #put(bytes: Buffer, lines: number): void {
    this.#write(this.#options.fd, bytes, (error, written) => {
      if (error === null && written < bytes.length) {
        this.#put(bytes.subarray(written), lines);
      } else if (errnoOf(error) === 'EAGAIN') {
        // What waits for this is bounded, and no process is kept for it.
        setTimeout(() => this.#put(bytes, lines), retryMs).unref();
      } else {
        if (error === null) this.#tellLost();
        else this.#lose(lines, messageOf(error));
        this.#next();
      }
    });
  }

  #lose(lines: number, reason: string): void {
    this.#lost += lines;
    this.#reason = reason;
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#options.onLost(lost, this.#reason);
  }
}
