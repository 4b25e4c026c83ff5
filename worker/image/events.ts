/** What happened to images, told to whoever listens. */
import type { Clock } from '../../lib/clock.ts';
import type { ImageEvent } from '../../types/index.ts';
import type { Image } from './images.ts';

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

  /** The image is that of the id, where it is known: its labels are told as well. */
  emit(
    action: ImageEvent['action'],
    id: string,
    name: string,
    image?: Pick<Image, 'config'>,
  ): void {
    this.#tell({
      action,
      id,
      name,
      ...(image === undefined ? {} : { labels: image.config.labels }),
    });
  }

  emitPrune(reclaimedBytes: number): void {
    this.#tell({ action: 'prune', id: '', name: '', reclaimedBytes });
  }

  #tell(what: Omit<ImageEvent, 'timeMs'>): void {
    const event = { ...what, timeMs: this.#clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }
}
