/**
 * What lies between a worker and its manager: messages that are late, lost or doubled. What is lost
 * is told once more after a while, as agents and dispatchers do when they renew a session.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';

export interface Weather {
  /** The chance that a message is lost. */
  readonly loss: number;
  /** The chance that it comes twice, the second time later. */
  readonly double: number;
  /** It takes up to this long. */
  readonly lateMs: number;
}

export const fairWeather: Weather = { loss: 0, double: 0, lateMs: 0 };

const againMs = 1_000;

export class Link {
  weather: Weather = fairWeather;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Calls `arrive` when the message does: at once in fair weather, maybe twice in foul. */
  pass(arrive: () => void): void {
    if (this.weather === fairWeather) {
      arrive();
      return;
    }
    const { loss, double, lateMs } = this.weather;
    const later = () => this.#random.integer(lateMs + 1);
    const firstMs = later() + (this.#random.float() < loss ? againMs : 0);
    this.#clock.after(firstMs, arrive);
    if (this.#random.float() < double) this.#clock.after(firstMs + later(), arrive);
  }
}
