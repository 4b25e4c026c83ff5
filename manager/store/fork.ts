/** A copy of the tables, to try changes on: what is done to it, nobody hears of. */
import { applyEntry } from './apply.ts';
import type { Change } from './change.ts';
import type { State } from './state.ts';
import type { StoreView } from './view.ts';

export class Fork {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  get view(): StoreView {
    return this.#state;
  }

  /** As an entry of the log would be applied. Returns a sentence where it conflicts. */
  apply(changes: readonly Change[], { atMs }: { readonly atMs: number }): string | undefined {
    const index = this.#state.index + 1;
    const outcome = applyEntry(this.#state, index, { changes, atMs });
    this.#state.index = index;
    return 'conflict' in outcome ? outcome.conflict : undefined;
  }

  audit(): string[] {
    return this.#state.audit();
  }
}
