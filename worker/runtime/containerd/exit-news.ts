/** Tells listeners of exits, also the first one of those that came before it listened. */
import type { ContainerExit } from '../runtime.ts';

const unheardMax = 10_000;

export class ExitNews {
  readonly #listeners = new Set<(exit: ContainerExit) => void>();
  /** From before anybody listened at all; not kept once somebody has. */
  #unheard: ContainerExit[] | undefined = [];

  listen(listener: (exit: ContainerExit) => void): Disposable {
    this.#listeners.add(listener);
    const unheard = this.#unheard ?? [];
    this.#unheard = undefined;
    queueMicrotask(() => {
      for (const exit of unheard) if (this.#listeners.has(listener)) listener(exit);
    });
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  tell(exit: ContainerExit): void {
    if (this.#unheard !== undefined && this.#unheard.length < unheardMax) this.#unheard.push(exit);
    for (const listener of this.#listeners) listener(exit);
  }
}
