/** All that happens in a run as lines, and a sum over them that is equal for equal runs. */
export class Trace {
  readonly #now: () => number;
  readonly #say: ((line: string) => void) | undefined;
  #sum = 0x811c9dc5;

  constructor(now: () => number, say?: (line: string) => void) {
    this.#now = now;
    this.#say = say;
  }

  get sum(): string {
    return (this.#sum >>> 0).toString(16).padStart(8, '0');
  }

  add(who: string, what: string): void {
    const line = `${this.#now().toFixed(3)} ${who}: ${what}`;
    for (let at = 0; at < line.length; at++) {
      this.#sum = Math.imul(this.#sum ^ line.charCodeAt(at), 0x01000193);
    }
    this.#say?.(line);
  }

  /** Errors by their words alone: their stacks name the places in this very version. */
  static text(fields: object): string {
    return JSON.stringify(fields, (_key, value: unknown) =>
      value instanceof Error ? value.message : value,
    );
  }
}
