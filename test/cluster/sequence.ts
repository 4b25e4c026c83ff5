/** Numbered datagrams that go out steadily, and which of them were answered. */
import type { Socket } from 'node:dgram';
import { until } from '../lab/index.ts';

/** So that a server that has to wait for a busy machine's processor can keep those that come. */
const everyMs = 20;
const lastAnswersMs = 30_000;

interface Outcome {
  /** How many had no answer, or could not be sent. */
  readonly lost: number;
  /** What is wrong with it, in words. */
  readonly wrong: readonly string[];
}

/** To the image `peer`, which says each number back as the last of its words. */
export class Sequence {
  readonly name: string;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  readonly #answered = new Set<number>();
  readonly #errors: string[] = [];
  #sent = 0;

  private constructor(name: string, socket: Socket, to: { host: string; port: number }) {
    this.name = name;
    this.#socket = socket;
    socket.on('message', (message) => {
      this.#answered.add(Number(message.toString().split(' ').at(-1)));
    });
    socket.on('error', ({ message }) => this.#errors.push(message));
    this.#timer = setInterval(() => {
      socket.send(String(this.#sent++), to.port, to.host, (error) => {
        if (error) this.#errors.push(error.message);
      });
    }, everyMs);
  }

  static start(name: string, socket: Socket, to: { host: string; port: number }): Sequence {
    return new Sequence(name, socket, to);
  }

  /** Resolves once so many more are answered than are now. */
  async goesOn(count: number): Promise<void> {
    const least = this.#answered.size + count;
    await until(`${this.name} goes on`, () => this.#answered.size >= least);
  }

  /** Ends it, and waits for answers that are under way. */
  async stop(): Promise<Outcome> {
    clearInterval(this.#timer);
    const unanswered = () =>
      Array.from({ length: this.#sent }, (_, number) => number).filter(
        (number) => !this.#answered.has(number),
      );
    const endMs = performance.now() + lastAnswersMs;
    await until(
      'the answers are in',
      () => unanswered().length === 0 || performance.now() > endMs,
      {
        timeoutMs: 2 * lastAnswersMs,
      },
    );
    this.#socket.removeAllListeners();
    const missing = unanswered();
    const lost = `${missing.length} of ${this.#sent} lost: ${missing.slice(0, 9).join()}`;
    const texts = [...this.#errors, ...(missing.length === 0 ? [] : [lost])];
    return {
      lost: missing.length + this.#errors.length,
      wrong: texts.map((text) => `${this.name}: ${text}`),
    };
  }
}
