/** The keys that leave a container running: `ctrl-p,ctrl-q` unless told otherwise. */
const defaultKeys = 'ctrl-p,ctrl-q';
/** Of "ctrl-" and one of these; the others are those between `@` and `_`. */
const escape = 0x1b;

/** Keys and names of keys, with commas between; none: the default. Or the word that is no key. */
export function parseDetachKeys(
  text: string,
): { readonly keys: Uint8Array } | { readonly unknown: string } {
  const words = (text || defaultKeys).split(',');
  const codes = words.map(codeOf);
  const at = codes.indexOf(undefined);
  if (at >= 0) return { unknown: words[at] ?? '' };
  return { keys: Uint8Array.from(codes.filter((code) => code !== undefined)) };
}

function codeOf(word: string): number | undefined {
  if (word.length === 1) return word.charCodeAt(0);
  const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(word)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
  if (word.toLowerCase() === 'del') return 127;
  return word.toLowerCase() === 'esc' ? escape : undefined;
}

/** Looks for the sequence in what is typed; what may be its beginning is kept back. */
export class DetachKeys {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** What is to be passed on, and whether the sequence is complete. */
  feed(typed: Uint8Array): { readonly data: Uint8Array; readonly detached: boolean } {
    const data: number[] = [];
    for (const key of typed) {
      if (key !== this.#keys[this.#matched]) {
        data.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (key === this.#keys[this.#matched]) this.#matched++;
      else data.push(key);
      if (this.#matched === this.#keys.length) {
        return { data: Uint8Array.from(data), detached: true };
      }
    }
    return { data: Uint8Array.from(data), detached: false };
  }
}
