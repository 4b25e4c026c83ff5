/** The only source of chance in a simulation. */
import { seededRandom } from '../../lib/random.ts';

export class Dice {
  readonly float: () => number;

  constructor(seed: number) {
    const random = seededRandom(seed);
    // The first numbers of seeds that follow each other are alike.
    for (let warm = 0; warm < 8; warm++) random.float();
    this.float = () => random.float();
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.float() * below);
  }

  between(from: number, to: number): number {
    return from + this.float() * (to - from);
  }

  /** Events that come about every `mean` on average: the time until the next. */
  wait(mean: number): number {
    return -Math.log(1 - this.float()) * mean;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('there is nothing to pick from');
    return items[this.below(items.length)] as T;
  }

  /** Some of them, in a random order. */
  some<T>(items: readonly T[], count: number): T[] {
    const left = [...items];
    const taken: T[] = [];
    while (taken.length < count && left.length > 0) {
      taken.push(...left.splice(this.below(left.length), 1));
    }
    return taken;
  }
}
