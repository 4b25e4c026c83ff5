/** What happens to volumes, told to whoever listens. */
import type { Clock } from '../../lib/clock.ts';

export interface VolumeEvent {
  readonly action: 'create' | 'mount' | 'unmount' | 'destroy' | 'prune';
  /** The volume's name; empty for all of them. */
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeMs: number;
}

export class VolumeEvents {
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: VolumeEvent) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(listener: (event: VolumeEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  tell(
    action: VolumeEvent['action'],
    id: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const event = { action, id, attributes, timeMs: this.#clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }
}
