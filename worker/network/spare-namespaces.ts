/** Makes network namespaces in advance: the kernel takes long for one. */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Namespaces } from './namespace.ts';

/** As many containers as one service often brings to a host at once. */
const sparesMax = 24;
/** They are made when no container has come for so long, one at a time. */
const idleMs = 250;
const paceMs = 10;

export class SpareNamespaces {
  readonly #namespaces: Namespaces;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  #timer: Timer | undefined;
  #stopped = false;

  constructor(namespaces: Namespaces, deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#namespaces = namespaces;
    this.#deps = deps;
  }

  /** Called again before that, it begins to wait again. */
  makeLater(delayMs = idleMs): void {
    this.#timer?.cancel();
    if (this.#stopped || this.#namespaces.spares >= sparesMax) return;
    this.#timer = this.#deps.clock.after(delayMs, () => {
      try {
        this.#namespaces.addSpare();
      } catch (error) {
        this.#deps.log.warn('a spare network namespace could not be made', { error });
        return;
      }
      this.makeLater(paceMs);
    });
  }

  /** Those that are not used go. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#namespaces.dropSpares();
  }
}
