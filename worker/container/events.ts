/** What happens to containers, told to whoever listens. */
import type { Clock } from '../../lib/clock.ts';
import type { ContainerRecord } from './view.ts';

export interface ContainerEvent {
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeMs: number;
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
    { id, name, config }: Pick<ContainerRecord, 'id' | 'name' | 'config'>,
    more: Readonly<Record<string, string>> = {},
  ): void {
    const attributes = { ...config.labels, ...more, image: config.image, name };
    const event = { action, id, attributes, timeMs: this.#clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }
}
