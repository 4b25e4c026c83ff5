/** A process to run commands in, for tests. */
import { PassThrough, Readable } from 'node:stream';
import { realClock, type Clock } from '../../lib/clock.ts';
import type { Context } from '../command/context.ts';
import { run } from '../command/run.ts';
import { Output } from '../format/output.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly clock?: Clock;
  /** Shows itself as a terminal of this many columns. */
  readonly columns?: number;
  /** Called with what sends Ctrl-C. */
  readonly onStart?: (interrupt: () => void) => void;
  /** Sends Ctrl-C as soon as it has printed something. */
  readonly interruptAtOutput?: boolean;
}

/** Runs one command line in this process. */
export async function runCli(
  host: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  const out = new Captured(options.columns);
  const err = new Captured(undefined);
  const interrupts = new Set<() => void>();
  const context: Context = {
    env: { ...options.env },
    stdin: Readable.from(options.stdin === undefined ? [] : [options.stdin]),
    out: new Output(out),
    err: new Output(err),
    clock: options.clock ?? realClock,
    onInterrupt(callback) {
      interrupts.add(callback);
      return { [Symbol.dispose]: () => interrupts.delete(callback) };
    },
    rawTerminal: () => ({ [Symbol.dispose]: () => undefined }),
    onSignals: () => ({ [Symbol.dispose]: () => undefined }),
    host,
  };
  const interrupt = () => interrupts.forEach((callback) => callback());
  options.onStart?.(interrupt);
  if (options.interruptAtOutput === true) out.once('data', interrupt);
  const code = await run(args, context);
  return { code, out: out.text(), err: err.text() };
}

class Captured extends PassThrough {
  readonly isTTY: boolean;
  readonly columns: number | undefined;
  readonly rows = 40;
  readonly #chunks: Buffer[] = [];

  constructor(columns: number | undefined) {
    super();
    this.isTTY = columns !== undefined;
    this.columns = columns;
    this.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  text(): string {
    for (let chunk: unknown = this.read(); chunk !== null; chunk = this.read()) continue;
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
