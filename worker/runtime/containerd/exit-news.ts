/** Tells listeners of exits, also the first one of those that came before it listened. */
import type { ContainerExit } from '../runtime.ts';

const unheardMax = 10_000;

export class ExitNews {
  readonly #listeners = new Set<(exit: ContainerExit) => void>();
  #unheard: ContainerExit[] = [];

  listen(listener: (exit: ContainerExit) => void): Disposable {
    this.#listeners.add(listener);
    const unheard = this.#unheard;
    this.#unheard = [];
    for (const exit of unheard) listener(exit);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  tell(exit: ContainerExit): void {
    if (this.#listeners.size === 0 && this.#unheard.length < unheardMax) this.#unheard.push(exit);
    for (const listener of this.#listeners) listener(exit);
  }
}
