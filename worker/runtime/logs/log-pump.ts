/** Carries what a container writes from its pipes into its log. */
import { closeSync, constants, openSync, read } from 'node:fs';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf, messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { readFifo } from './fifo.ts';
import { encodeEntry, LineSplitter, Stamper, type Stream } from './json-lines.ts';
import type { OutputSink } from '../io.ts';
import type { LogFile } from './log-file.ts';
import { LogRing } from './log-ring.ts';
import type { RemoteLine } from './remote/format.ts';

const readAsync = promisify(read);
const newline = 0x0a;

/** What is taken from a pipe at once: the bound of a log's memory, and of a turn's length. */
const chunkBytes = 16 * 1024;
/** For each millisecond of work, logs rest this many before they read on. */
const restFactor = 2;
/** Debts below this are not worth a timer. */
const restMinMs = 1;
/** What it takes to read a chunk and throw it away. */
const skimMs = 0.05;

/**
 * Lets all logs of a daemon together have a third of its thread: who writes without end is slowed
 * down by its full pipe, and the rest of the daemon goes on.
 */
export class LogBudget {
  readonly clock: Clock;
  /** Shared by all pumps: a chunk is done with before the next one is read. */
  readonly buffer = Buffer.alloc(chunkBytes);
  #freeAtMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** How long the caller has to wait before it reads on, after `spentMs` of work. */
  charge(spentMs: number): number {
    const nowMs = this.clock.monotonicMs();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + spentMs * restFactor;
    const restMs = this.#freeAtMs - nowMs;
    return restMs < restMinMs ? 0 : restMs;
  }
}

/** Takes lines to somewhere else. */
export interface LineTaker {
  ship(line: RemoteLine): void;
  /** Resolves when more can be taken; a taker that keeps nobody waiting has room always. */
  room(): Promise<void>;
  /** From now on nobody is kept waiting. */
  hurry(): void;
  close(): void;
}

interface Source {
  readonly stream: Stream;
  readonly path: string;
  readonly splitter: LineSplitter;
  readonly socket: Socket;
  /** The chunk being written. */
  busy: Promise<void>;
}

export class LogPump {
  readonly file: LogFile;
  readonly #budget: LogBudget;
  readonly #log: Logger;
  readonly #stamper = new Stamper();
  readonly #sources: readonly Source[];
  readonly #discards: boolean;
  readonly #taker: LineTaker | undefined;
  readonly #attributes: string;
  readonly #ring: LogRing<Source> | undefined;
  readonly #sinks = new Set<OutputSink>();
  #closing = false;

  /** Starts to read. The pipes must exist. With `discards`, the file gets nothing. */
  constructor(
    pipes: readonly { readonly stream: Stream; readonly path: string }[],
    file: LogFile,
    deps: {
      readonly budget: LogBudget;
      readonly log: Logger;
      readonly discards?: boolean;
      readonly taker?: LineTaker | undefined;
      readonly attributes?: Readonly<Record<string, string>> | undefined;
      readonly ringBytes?: number | undefined;
    },
  ) {
    this.file = file;
    this.#attributes = deps.attributes === undefined ? '' : JSON.stringify(deps.attributes);
    this.#ring = deps.ringBytes === undefined ? undefined : this.#newRing(deps.ringBytes, deps);
    this.#taker = deps.taker;
    this.#discards = deps.discards ?? false;
    this.#budget = deps.budget;
    this.#log = deps.log;
    this.#sources = pipes.map(({ stream, path }) => this.#open(stream, path));
  }

  /** Hands over all that is written from now on; the pipes wait for the sink. */
  attach(sink: OutputSink): Disposable {
    this.#sinks.add(sink);
    return { [Symbol.dispose]: () => this.#sinks.delete(sink) };
  }

  /** Takes what is left in the pipes, then ends the log. Called once the container has ended. */
  async drain(): Promise<void> {
    // Opened before the sockets close: a pipe that nobody holds open loses what is in it.
    const fds = this.#sources.map(({ path }) =>
      openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
    );
    try {
      await this.#stop();
      for (const [index, source] of this.#sources.entries()) await this.#rest(source, fds[index]!);
      await this.#finish();
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  }

  /** Stops reading; what is in the pipes stays there for the next daemon. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#finish();
  }

  /** Writes the unfinished lines, and ends the log. */
  async #finish(): Promise<void> {
    for (const source of this.#sources) {
      await this.#append(this.#encode(source, source.splitter.end()));
    }
    await this.file.end();
    this.#taker?.close();
    for (const sink of this.#sinks) sink.end();
    this.#sinks.clear();
  }

  async #stop(): Promise<void> {
    this.#closing = true;
    this.#taker?.hurry();
    for (const source of this.#sources) {
      source.socket.destroy();
      await source.busy;
    }
    await this.#ring?.settled();
  }

  #newRing(
    maxBytes: number,
    { budget: { clock }, log }: { readonly budget: LogBudget; readonly log: Logger },
  ): LogRing<Source> {
    return new LogRing({
      maxBytes,
      clock,
      write: ({ source, bytes, isAfterGap }) => {
        if (!isAfterGap) return this.#record(source, bytes);
        // Lines are lost whole: the one that was begun, and the one in the middle of which this is.
        source.splitter.end();
        return this.#record(source, bytes.subarray(bytes.indexOf(newline) + 1));
      },
      onLost: (lostBytes) =>
        log.warn('a container wrote faster than its log, and lines are lost', {
          path: this.file.path,
          lostBytes,
        }),
    });
  }

  #open(stream: Stream, path: string): Source {
    const socket = readFifo(path, this.#budget.buffer, (bytes) => {
      source.busy = this.#take(source, bytes);
      return false;
    });
    const source: Source = {
      stream,
      path,
      splitter: new LineSplitter(),
      socket,
      busy: Promise.resolve(),
    };
    socket.on('error', (error) => {
      this.#log.warn('reading the output of a container failed', { path, error: error.message });
    });
    socket.resume();
    return source;
  }

  /** Writes a chunk and then reads on; must use up `bytes` before its first await. */
  async #take(source: Source, bytes: Uint8Array): Promise<void> {
    const restMs = await this.#write(source, bytes);
    if (this.#closing) return;
    const readOn = () => {
      if (!this.#closing) source.socket.resume();
    };
    if (restMs === 0) readOn();
    else this.#budget.clock.after(restMs, readOn);
  }

  async #write(source: Source, bytes: Uint8Array): Promise<number> {
    const handed = this.#handOver(source.stream, bytes);
    if (this.#ring !== undefined && !this.#closing) {
      this.#ring.put(source, bytes);
      await handed;
      return this.#budget.charge(skimMs);
    }
    const restMs = await this.#record(source, bytes);
    await handed;
    return restMs;
  }

  /** Must use up `bytes` before its first await. */
  async #record(source: Source, bytes: Uint8Array): Promise<number> {
    const startMs = this.#budget.clock.monotonicMs();
    const text = this.#readsLines ? this.#encode(source, source.splitter.push(bytes)) : '';
    const spentMs = this.#budget.clock.monotonicMs() - startMs;
    // Without a log it is the reader that slows the writer down.
    const restMs = this.#readsLines ? this.#budget.charge(spentMs) : 0;
    await this.#append(text);
    await this.#taker?.room();
    return restMs;
  }

  async #handOver(stream: Stream, bytes: Uint8Array): Promise<void> {
    if (this.#sinks.size === 0) return;
    const copy = Buffer.from(bytes);
    const give = async (sink: OutputSink) => {
      try {
        await sink.write(stream, copy);
      } catch (error) {
        this.#sinks.delete(sink);
        this.#log.debug('a reader of output has gone', { error: messageOf(error) });
      }
    };
    await Promise.all([...this.#sinks].map(give));
  }

  /** A full disk must not end the container: what cannot be written is dropped, and said. */
  async #append(text: string): Promise<void> {
    if (text === '') return;
    try {
      await this.file.append(text);
    } catch (error) {
      this.#log.warn('output of a container is lost', {
        path: this.file.path,
        lostBytes: text.length,
        error: messageOf(error),
      });
    }
  }

  async #rest(source: Source, fd: number): Promise<void> {
    const buffer = Buffer.alloc(chunkBytes);
    try {
      for (;;) {
        const { bytesRead } = await readAsync(fd, buffer, 0, chunkBytes, null);
        if (bytesRead === 0) break;
        const restMs = await this.#write(source, buffer.subarray(0, bytesRead));
        if (restMs > 0) await this.#budget.clock.sleep(restMs);
      }
    } catch (error) {
      // A writer is still there, and the pipe is empty.
      if (errnoOf(error) !== 'EAGAIN') throw error;
    }
  }

  get #readsLines(): boolean {
    return !this.#discards || this.#taker !== undefined;
  }

  #encode(source: Source, texts: readonly string[]): string {
    const nowMs = this.#budget.clock.nowMs();
    for (const line of this.#taker === undefined ? [] : texts) {
      const isPartial = !line.endsWith('\n');
      const text = isPartial ? line : line.slice(0, -1);
      this.#taker?.ship({ stream: source.stream, text, isPartial, timeMs: nowMs });
    }
    if (this.#discards) return '';
    return texts
      .map((text) => encodeEntry(text, source.stream, this.#stamper.next(nowMs), this.#attributes))
      .join('');
  }
}
