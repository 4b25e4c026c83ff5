/** What happens to containers, told to whoever listens. */
import type { Clock } from '../../lib/clock.ts';
import { signalNumber } from '../../lib/signals.ts';
import type { ContainerRecord } from './view.ts';

export interface ContainerEvent {
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeMs: number;
}

export interface NetworkEvent {
  readonly action: 'create' | 'connect' | 'disconnect' | 'destroy' | 'prune';
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeMs: number;
}

/** What happens to networks on this node. */
export class NetworkEvents {
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: NetworkEvent) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(listener: (event: NetworkEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  tell(
    action: NetworkEvent['action'],
    { id, name, driver }: { readonly id: string; readonly name: string; readonly driver: string },
    more: Readonly<Record<string, string>> = {},
  ): void {
    const attributes = { ...more, name, type: driver };
    const event = { action, id, attributes, timeMs: this.#clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }

  /** What nobody used is gone: nothing that took space. */
  tellPrune(): void {
    const attributes = { reclaimed: '0' };
    const event = { action: 'prune', id: '', attributes, timeMs: this.#clock.nowMs() } as const;
    for (const listener of this.#listeners) listener(event);
  }
}

/** What is told of a container whatever happens to it. */
export interface EventSubject extends Pick<ContainerRecord, 'id' | 'name'> {
  readonly config: Pick<ContainerRecord['config'], 'image' | 'labels'>;
}

export class ContainerEvents {
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: ContainerEvent) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(listener: (event: ContainerEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  tell(
    action: string,
    { id, name, config }: EventSubject,
    more: Readonly<Record<string, string>> = {},
  ): void {
    const attributes = { ...config.labels, ...more, image: config.image, name };
    const event = { action, id, attributes, timeMs: this.#clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }

  tellKill(subject: EventSubject, signal: string): void {
    this.tell('kill', subject, { signal: String(signalNumber(signal)) });
  }

  tellPrune(reclaimedBytes: number): void {
    const attributes = { reclaimed: String(reclaimedBytes) };
    const event = { action: 'prune', id: '', attributes, timeMs: this.#clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }
}
