/** Values that templates see otherwise than plain JSON. */

/** Prints in Go's way, and is still what it was in JSON. */
export class Printed {
  readonly #text: string;
  readonly #json: unknown;

  constructor(text: string, json: unknown) {
    this.#text = text;
    this.#json = json;
  }

  toString(): string {
    return this.#text;
  }

  toJSON(): unknown {
    return this.#json;
  }
}

export function isPrinted(value: unknown): value is Printed {
  return value instanceof Printed;
}

/** Go's map[string]string, in which a key that is not there reads as an empty text. */
export class StringMap {
  readonly entries: Readonly<Record<string, string>>;

  constructor(entries: Readonly<Record<string, string>>) {
    this.entries = entries;
  }

  get(key: string): string {
    return Object.hasOwn(this.entries, key) ? (this.entries[key] ?? '') : '';
  }

  toJSON(): unknown {
    return this.entries;
  }
}
