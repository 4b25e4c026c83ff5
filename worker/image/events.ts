/** What happened to images, told to whoever listens. */
import type { Clock } from '../../lib/clock.ts';

/** As api/backend.ts declares it. */
export interface ImageEvent {
  readonly action: 'pull' | 'push' | 'save' | 'import' | 'load' | 'tag' | 'untag' | 'delete';
  readonly id: string;
  readonly name: string;
  readonly timeMs: number;
}

export class ImageEvents {
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: ImageEvent) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Listeners are called in turn, at once, and must not throw. */
  subscribe(listener: (event: ImageEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  emit(action: ImageEvent['action'], id: string, name: string): void {
    const event = { action, id, name, timeMs: this.#clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }
}
