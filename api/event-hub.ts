import { linkAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Backend } from './backend.ts';
import {
  containerEvent,
  imageEvent,
  networkEvent,
  objectEvent,
  volumeEvent,
  type DockerEvent,
} from './convert/event.ts';

/** How many past events `docker events --since` can still see; Docker keeps as many. */
const maxPast = 256;
/** A client that is this far behind is cut off: it cannot be told everything any more. */
const maxQueued = 1024;
/** How soon the hub notices that this node has become a manager. */
const retryMs = 1_000;

interface EventHubModules {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Gathers the cluster's and the images' events, and hands them to every listener. */
export class EventHub implements Disposable {
  readonly #modules: EventHubModules;
  readonly #over = new AbortController();
  readonly #past: DockerEvent[] = [];
  readonly #listeners = new Set<(event: DockerEvent) => void>();
  /** Of the cluster's events: the present run of their source, and the pause after it. */
  #attempt: AbortController | undefined;

  constructor(modules: EventHubModules) {
    this.#modules = modules;
    const { containers, system, volumes } = modules.backend;
    system.onImageEvent((event) => this.tell(imageEvent(event)));
    containers.events.listen((event) => this.tell(containerEvent(event)));
    volumes.events.listen((event) => this.tell(volumeEvent(event)));
    containers.networkEvents.listen((event) => this.tell(networkEvent(event)));
    void this.#follow();
  }

  [Symbol.dispose](): void {
    this.#over.abort(new SwarmError('cancelled', 'the daemon is shutting down'));
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** This node's place in the swarm has just changed: look at once instead of in a moment. */
  nudge(): void {
    this.#attempt?.abort(new SwarmError('cancelled', 'the node has joined or left a swarm'));
  }

  tell(event: DockerEvent): void {
    this.#past.push(event);
    if (this.#past.length > maxPast) this.#past.shift();
    for (const listener of this.#listeners) listener(event);
  }

  past(): readonly DockerEvent[] {
    return this.#past;
  }

  /** Every event from the call on. Throws `resource-exhausted` when its reader falls behind. */
  subscribe(signal: AbortSignal): AsyncIterable<DockerEvent> {
    const queue: DockerEvent[] = [];
    let wake = Promise.withResolvers<void>();
    let overflowed = false;
    const listener = (event: DockerEvent) => {
      if (queue.length < maxQueued) queue.push(event);
      else overflowed = true;
      wake.resolve();
    };
    const onAbort = () => {
      this.#listeners.delete(listener);
      wake.resolve();
    };
    if (!signal.aborted) {
      this.#listeners.add(listener);
      signal.addEventListener('abort', onAbort, { once: true });
    }
    return (async function* events() {
      for (;;) {
        yield* queue.splice(0);
        if (signal.aborted) return;
        if (overflowed) {
          throw new SwarmError('resource-exhausted', 'the reader of the events was too slow');
        }
        if (queue.length === 0) {
          wake = Promise.withResolvers<void>();
          await wake.promise;
        }
      }
    })();
  }

  /** The cluster's events for as long as the hub lives, again whenever their source ends. */
  async #follow(): Promise<void> {
    const { clock, log } = this.#modules;
    while (!this.#over.signal.aborted) {
      using attempt = linkAbort(this.#over.signal);
      this.#attempt = attempt;
      try {
        await this.#objects(attempt.signal);
        await clock.sleep(retryMs, { signal: attempt.signal });
      } catch (error) {
        if (attempt.signal.aborted) continue;
        const { code, message } = SwarmError.from(error);
        // A worker has no events of the cluster: that is no news each second.
        if (code !== 'unavailable') {
          log.warn('the events of the cluster broke off', { error: message });
        }
        await settled(clock.sleep(retryMs, { signal: attempt.signal }));
      }
    }
  }

  async #objects(signal: AbortSignal): Promise<void> {
    for await (const event of this.#modules.backend.manager().watch({ signal })) {
      const told = objectEvent(event);
      if (told !== undefined) this.tell(told);
    }
  }
}

/** Resolves also when the promise rejects: it was only waited for. */
async function settled(promise: Promise<unknown>): Promise<void> {
  await Promise.allSettled([promise]);
}
