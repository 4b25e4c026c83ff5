/**
 * Sends what a container writes to a server of logs. Lines wait in a bounded queue. What does not
 * fit is counted, and said, here and to the server; or the container waits, where it was asked for.
 */
import type { Clock } from '../../../../lib/clock.ts';
import { messageOf } from '../../../../lib/errors.ts';
import type { Logger } from '../../../../lib/log.ts';
import type { RemoteLogConfig } from './config.ts';
import { journalEntry, syslogMessage, type RemoteLine, type Sender } from './format.ts';
import type { Wire } from './wires.ts';

interface ShipperDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly sender: Sender;
  readonly open: (config: RemoteLogConfig) => Promise<Wire>;
}

const firstDelayMs = 100;
const delayMsMax = 10_000;
/** What is left when the container has ended has this long to leave. */
const lastMs = 5_000;

export class LogShipper {
  readonly #config: RemoteLogConfig;
  readonly #deps: ShipperDeps;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  /** Of lines: since it was last said, and over the shipper's life. */
  #unsaid = 0;
  #lost = 0;
  #wire: Wire | undefined;
  #working: Promise<void> | undefined;
  /** No line is tried any more. */
  #isOver = false;
  #wake: () => void = () => undefined;
  #isInTrouble = false;
  #waits: boolean;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(config: RemoteLogConfig, deps: ShipperDeps) {
    this.#config = config;
    this.#waits = config.isBlocking;
    this.#deps = deps;
  }

  /** Lines that did not reach the server. */
  get lost(): number {
    return this.#lost;
  }

  ship(line: RemoteLine): void {
    const bytes = this.#encoded(line);
    // One that waits has read a chunk already: that much is beyond the bound at most.
    if (!this.#waits && this.#queuedBytes + bytes.length > this.#config.bufferBytes) {
      this.#lose(1);
      return;
    }
    this.#enqueue(bytes);
    this.#working ??= this.#work();
  }

  /** Resolves when there is room for more; at once, where lines are lost instead. */
  room(): Promise<void> {
    if (!this.#waits || this.#queuedBytes <= this.#config.bufferBytes) return Promise.resolve();
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** The container has ended, or the daemon does: nobody waits any more. */
  hurry(): void {
    this.#waits = false;
    this.#tellRoom();
  }

  #tellRoom(): void {
    if (this.#waits && this.#queuedBytes > this.#config.bufferBytes) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** Waits some seconds for what is left to leave; the rest is lost, and said. */
  async close(): Promise<void> {
    const timer = this.#deps.clock.after(lastMs, () => this.#end());
    await this.#working;
    timer.cancel();
    this.#wire?.close();
    this.#lose(this.#queue.length);
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    if (this.#unsaid > 0) this.#say('the container has ended');
  }

  #end(): void {
    this.#isOver = true;
    this.#wire?.close();
    this.#wake();
  }

  #enqueue(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  #lose(lines: number): void {
    this.#lost += lines;
    this.#unsaid += lines;
  }

  async #work(): Promise<void> {
    // What is shipped in one go leaves in one go.
    await Promise.resolve();
    let delayMs = firstDelayMs;
    while (this.#queue.length > 0 && !this.#isOver) {
      try {
        this.#wire ??= await this.#deps.open(this.#config);
        await this.#sendAll(this.#wire);
        delayMs = firstDelayMs;
      } catch (error) {
        this.#wire?.close();
        this.#wire = undefined;
        if (this.#isOver) break;
        this.#trouble(messageOf(error));
        await this.#pause(delayMs);
        delayMs = Math.min(delayMs * 2, delayMsMax);
      }
    }
    this.#working = undefined;
  }

  async #sendAll(wire: Wire): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#isOver) return;
      await wire.send(next);
      this.#queue.shift();
      this.#queuedBytes -= next.length;
      this.#tellRoom();
      if (this.#isInTrouble || this.#unsaid > 0) this.#recovered();
    }
  }

  #trouble(error: string): void {
    if (this.#isInTrouble) return;
    this.#isInTrouble = true;
    this.#deps.log.warn('the log server of a container cannot be reached', { error });
  }

  #recovered(): void {
    this.#isInTrouble = false;
    if (this.#unsaid === 0) return;
    const lines = this.#unsaid;
    this.#say('the log server was too slow, or away');
    const text = `${lines} lines of this container were lost: the log server was too slow, or away`;
    const timeMs = this.#deps.clock.nowMs();
    this.#enqueue(this.#encoded({ stream: 'stderr', text, isPartial: false, timeMs }));
  }

  #say(why: string): void {
    this.#deps.log.warn('lines of a container did not reach its log server', {
      lines: this.#unsaid,
      why,
    });
    this.#unsaid = 0;
  }

  async #pause(delayMs: number): Promise<void> {
    const over = Promise.withResolvers<void>();
    this.#wake = over.resolve;
    const timer = this.#deps.clock.after(delayMs, over.resolve);
    await over.promise;
    timer.cancel();
  }

  #encoded(line: RemoteLine): Buffer {
    const config = this.#config;
    return config.kind === 'journald'
      ? journalEntry(config, line)
      : syslogMessage(config, line, this.#deps.sender);
  }
}
