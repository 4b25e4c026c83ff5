/** The shell around previews: each on a copy of the tables of its own, with pauses for others. */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import type { StoreView } from '../store/view.ts';
import type { Preview as PreviewAnswer, PreviewChange } from '../../types/index.ts';
import { Preview } from './preview.ts';

/** Each holds tables of its own in memory. */
const maxAtOnce = 4;

export class PreviewDesk {
  readonly #clock: Clock;
  #busy = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws as the commands would, and `resource-exhausted` while too many others are at work. */
  async preview(view: StoreView, changes: readonly PreviewChange[]): Promise<PreviewAnswer> {
    if (this.#busy >= maxAtOnce) {
      throw new SwarmError('resource-exhausted', 'too many plans are being made; try again');
    }
    this.#busy += 1;
    try {
      // The same question, asked of the same state, has the same answer.
      const random = seededRandom(view.index);
      const env = { nowMs: this.#clock.nowMs(), random };
      const preview = new Preview(view.fork(), changes, env);
      while (preview.step()) await yieldToOthers();
      return preview.answer();
    } finally {
      this.#busy -= 1;
    }
  }
}
