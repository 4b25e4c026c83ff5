/** The keys that leave a container running: `ctrl-p,ctrl-q` unless told otherwise. */
import { commandError } from '../command/errors.ts';
import { text } from '../command/flags.ts';

export const detachKeysFlag = text(
  'detach-keys',
  'Override the key sequence for detaching a container',
);

const defaultKeys = 'ctrl-p,ctrl-q';
/** Of "ctrl-" and one of these; the others are those between `@` and `_`. */
const escape = 0x1b;

/** Throws a command error that names the key that is none. */
export function parseDetachKeys(given: string | undefined): Uint8Array {
  const words = (given || defaultKeys).split(',');
  return Uint8Array.from(words, (word) => {
    if (word.length === 1) return word.charCodeAt(0);
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(word)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
    if (word.toLowerCase() === 'del') return 127;
    if (word.toLowerCase() === 'esc') return escape;
    throw commandError(`invalid detach keys (${given}): Unknown character: '${word}'`);
  });
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
