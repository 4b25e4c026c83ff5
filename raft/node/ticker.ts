/** The timer of a node's ticks. */
import type { NodePorts } from './ports.ts';
import { TickWatch } from './tick-watch.ts';

type TickPorts = Pick<NodePorts<unknown>, 'everyMs' | 'monotonicMs'>;

/** How many times as long a tick is for who has nobody to keep up with. */
const seldom = 20;

export class Ticker {
  readonly #tickMs: number;
  readonly #ports: TickPorts;
  readonly #onTick: () => void;
  #isSeldom = false;
  #isStopped = false;
  #watch: TickWatch;
  #stop: () => void;

  constructor(tickMs: number, ports: TickPorts, onTick: () => void) {
    this.#tickMs = tickMs;
    this.#ports = ports;
    this.#onTick = onTick;
    this.#watch = new TickWatch(tickMs, ports);
    this.#stop = ports.everyMs(tickMs, onTick);
  }

  /** A process at rest wakes for each tick: who is alone can do with few. */
  pace(isSeldom: boolean): void {
    if (this.#isStopped || isSeldom === this.#isSeldom) return;
    this.#isSeldom = isSeldom;
    const tickMs = isSeldom ? this.#tickMs * seldom : this.#tickMs;
    this.#stop();
    this.#watch = new TickWatch(tickMs, this.#ports);
    this.#stop = this.#ports.everyMs(tickMs, this.#onTick);
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    this.#stop();
  }

  get stoodStill(): boolean {
    return this.#watch.stoodStill;
  }

  next(): 'due' | 'late' | 'early' {
    return this.#watch.next();
  }
}
