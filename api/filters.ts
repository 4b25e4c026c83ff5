/** The `filters` parameter of Docker's lists: a map from keys to sets of values, as JSON. */
import { SwarmError } from '../lib/errors.ts';

/** A longer list of filters is a mistake, and each value may cost a look at every object. */
const maxValues = 1000;

export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /** Throws `invalid-argument` for what is not filters, or a key that is not accepted. */
  static parse(text: string | null, accepted: readonly string[]): Filters {
    const values = new Map<string, readonly string[]>();
    for (const [key, given] of Object.entries(parseObject(text ?? ''))) {
      if (!accepted.includes(key)) {
        throw new SwarmError('invalid-argument', `invalid filter '${key}'`);
      }
      values.set(key, valuesOf(given));
    }
    return new Filters(values);
  }

  /** The same without all other keys. */
  only(keys: readonly string[]): Filters {
    return new Filters(new Map([...this.#values].filter(([key]) => keys.includes(key))));
  }

  has(key: string): boolean {
    return this.get(key).length > 0;
  }

  get(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** No value given for the key, or one of them passes. */
  any(key: string, test: (value: string) => boolean): boolean {
    const values = this.get(key);
    return values.length === 0 || values.some(test);
  }

  /** Every "key" or "key=value" given is among the labels. */
  labels(key: string, labels: Readonly<Record<string, string>>): boolean {
    return this.get(key).every((wanted) => {
      const equals = wanted.indexOf('=');
      const name = equals < 0 ? wanted : wanted.slice(0, equals);
      if (!Object.hasOwn(labels, name)) return false;
      return equals < 0 || labels[name] === wanted.slice(equals + 1);
    });
  }
}

function parseObject(text: string): Record<string, unknown> {
  if (text === '') return {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      return parsed as Record<string, unknown>;
    }
  } catch (error) {
    throw new SwarmError('invalid-argument', 'invalid filter', { cause: error });
  }
  throw new SwarmError('invalid-argument', 'invalid filter');
}

/** Clients send {"key": {"value": true}} or, the older ones, {"key": ["value"]}. */
function valuesOf(given: unknown): readonly string[] {
  const values = Array.isArray(given)
    ? given
    : typeof given === 'object' && given !== null
      ? Object.keys(given)
      : undefined;
  if (values === undefined || values.length > maxValues) {
    throw new SwarmError('invalid-argument', 'invalid filter');
  }
  if (!values.every((value) => typeof value === 'string')) {
    throw new SwarmError('invalid-argument', 'invalid filter');
  }
  return values;
}
