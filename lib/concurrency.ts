/** Work that many ask for and one does; and bounds on how much is done at once. */
import { withAbort } from './abort.ts';
import { SwarmError } from './errors.ts';

/** At most `slots` hold it at a time; the others wait in order. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#acquire(signal);
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  async #acquire(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    try {
      await withAbort(promise, signal);
    } catch (thrown) {
      const index = this.#waiting.indexOf(resolve);
      // The slot may have been handed over in the same moment: then it goes on to the next.
      if (index >= 0) this.#waiting.splice(index, 1);
      else this.#release();
      throw thrown;
    }
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/** One at a time for each key. A key that nobody holds takes no memory. */
export class KeyedMutex {
  readonly #locks = new Map<string, { semaphore: Semaphore; users: number }>();

  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const lock = this.#locks.get(key) ?? { semaphore: new Semaphore(1), users: 0 };
    this.#locks.set(key, lock);
    lock.users += 1;
    try {
      return await lock.semaphore.run(work, signal);
    } finally {
      lock.users -= 1;
      if (lock.users === 0) this.#locks.delete(key);
    }
  }
}

interface Flight<T, P> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  readonly listeners: Set<(progress: P) => void>;
  /** The newest word on each thing in progress, told to those who come late. */
  readonly latest: Map<string, P>;
  callers: number;
}

/**
 * Calls with the same key share one run. A caller that aborts leaves alone; the run itself is
 * aborted when the last one has left.
 */
export class SharedWork<T, P> {
  readonly #flights = new Map<string, Flight<T, P>>();
  /** Also those that everybody has left, until they have cleared up. */
  readonly #running = new Set<Flight<T, P>>();
  readonly #progressKey: (progress: P) => string;

  constructor(progressKey: (progress: P) => string) {
    this.#progressKey = progressKey;
  }

  async run(
    key: string,
    work: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>,
    caller: { signal?: AbortSignal; onProgress?: (progress: P) => void },
  ): Promise<T> {
    caller.signal?.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    const { onProgress } = caller;
    flight.callers += 1;
    try {
      if (onProgress !== undefined) {
        for (const progress of flight.latest.values()) onProgress(progress);
        flight.listeners.add(onProgress);
      }
      return await withAbort(flight.result, caller.signal);
    } finally {
      flight.callers -= 1;
      if (onProgress !== undefined) flight.listeners.delete(onProgress);
      if (flight.callers === 0) {
        // A caller who comes now must not join what is being given up.
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.controller.abort(new SwarmError('cancelled', 'nobody waits for it any more'));
      }
    }
  }

  /** Aborts every run; resolves when all of them have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    const running = [...this.#running];
    for (const { controller } of running) {
      controller.abort(new SwarmError('cancelled', 'the daemon ends'));
    }
    await Promise.allSettled(running.map(({ result }) => result));
  }

  #start(
    key: string,
    work: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>,
  ): Flight<T, P> {
    const controller = new AbortController();
    const listeners = new Set<(progress: P) => void>();
    const latest = new Map<string, P>();
    const report = (progress: P) => {
      latest.set(this.#progressKey(progress), progress);
      for (const listener of listeners) listener(progress);
    };
    const result = work(controller.signal, report).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
      this.#running.delete(flight);
    });
    const flight: Flight<T, P> = { result, controller, listeners, latest, callers: 0 };
    this.#flights.set(key, flight);
    this.#running.add(flight);
    return flight;
  }
}
