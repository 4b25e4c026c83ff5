/**
 * Declares a document once: its TypeScript type, how Docker's JSON is read into it, and how it is
 * written back. Reading follows Go's encoding/json, as Docker's daemon does: unknown keys are
 * ignored, keys match without regard to case when no exact one is there, null means absent.
 */
export interface Codec<T> {
  /** Reads a JSON value. Throws CodecError, which names the path and what was expected. */
  decode(value: unknown, path: string): T;
  encode(value: T): unknown;
  /** A field with this value is as good as absent, besides null. */
  readonly absent?: string;
  /** Of a struct: what it reads. */
  readonly fields?: readonly DeclaredField[];
  /** Of a list or a record: what each of its values is. */
  readonly item?: Codec<unknown>;
}

interface DeclaredField {
  /** As TypeScript has it, and as JSON has it. */
  readonly name: string;
  readonly json: string;
  readonly codec: Codec<unknown>;
}

/** A JSON value that does not fit its declaration. The message is one sentence for the user. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
}

interface Field<T, Required extends boolean> {
  readonly json: string;
  readonly codec: Codec<T>;
  readonly required: Required;
  readonly zero: T | undefined;
}

type Fields = Record<string, Field<never, boolean>>;
type ValueOf<F> = F extends Field<infer T, boolean> ? T : never;
type Always = { readonly required: true };
type Flatten<T> = { [K in keyof T]: T[K] };

/** The type that a struct's declaration describes. */
type StructOf<F> = Flatten<
  { readonly [K in keyof F as F[K] extends Always ? K : never]: ValueOf<F[K]> } & {
    readonly [K in keyof F as F[K] extends Always ? never : K]?: ValueOf<F[K]>;
  }
>;

export type TypeOf<C> = C extends Codec<infer T> ? T : never;

/** A field that may be absent, and is then not written. */
export function optional<T>(json: string, codec: Codec<T>): Field<T, false> {
  return { json, codec, required: false, zero: undefined };
}

/** A field that is always present: absent in JSON, it reads as `zero`. */
export function required<T>(json: string, codec: Codec<T>, zero: T): Field<T, true> {
  return { json, codec, required: true, zero };
}

export function struct<F extends { [K in keyof F]: Field<ValueOf<F[K]>, boolean> }>(
  fields: F,
): Codec<StructOf<F>> {
  const declared = Object.entries(fields as unknown as Fields).map(([name, field]) => ({
    name,
    field: field as unknown as Field<unknown, boolean>,
  }));
  return {
    fields: declared.map(({ name, field: { json, codec } }) => ({ name, json, codec })),
    decode(value, path) {
      const source = object(value, path);
      const out: Record<string, unknown> = {};
      for (const { name, field } of declared) {
        const raw = lookup(source, field.json);
        if (raw !== undefined && raw !== null && raw !== field.codec.absent) {
          out[name] = field.codec.decode(raw, join(path, field.json));
        } else if (field.required) {
          out[name] = field.zero;
        }
      }
      return out as StructOf<F>;
    },
    encode(value) {
      const source = value as Record<string, unknown>;
      const out: Record<string, unknown> = {};
      for (const { name, field } of declared) {
        const present = source[name];
        if (present !== undefined) out[field.json] = field.codec.encode(present);
        else if (field.required) out[field.json] = field.codec.encode(field.zero);
      }
      return out;
    },
  };
}

export function list<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    item,
    decode(value, path) {
      if (!Array.isArray(value)) throw wrong(path, 'an array', value);
      return value.map((entry, index) => item.decode(entry, `${path}[${index}]`));
    },
    encode: (value) => value.map((entry) => item.encode(entry)),
  };
}

export function record<T>(item: Codec<T>): Codec<Readonly<Record<string, T>>> {
  return {
    item,
    decode(value, path) {
      const entries = Object.entries(object(value, path));
      return Object.fromEntries(entries.map(([k, v]) => [k, item.decode(v, join(path, k))]));
    },
    encode: (value) =>
      Object.fromEntries(Object.entries(value).map(([k, v]) => [k, item.encode(v)])),
  };
}

/**
 * One of a fixed set of words; Docker writes them in lower case. An empty string reads as absent.
 */
export function oneOf<const W extends readonly string[]>(...words: W): Codec<W[number]> {
  return {
    decode(value, path) {
      const word = string.decode(value, path);
      const found = words.find((candidate) => candidate.toLowerCase() === word.toLowerCase());
      if (found === undefined) {
        throw new CodecError(`${path}: "${word}" is not one of ${words.join(', ')}`);
      }
      return found;
    },
    encode: (value) => value,
    absent: '',
  };
}

export const string: Codec<string> = {
  decode(value, path) {
    if (typeof value !== 'string') throw wrong(path, 'a string', value);
    return value;
  },
  encode: (value) => value,
};

export const boolean: Codec<boolean> = {
  decode(value, path) {
    if (typeof value !== 'boolean') throw wrong(path, 'true or false', value);
    return value;
  },
  encode: (value) => value,
};

/** A whole number within the range that a double holds exactly. */
export const integer: Codec<number> = {
  decode(value, path) {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
      throw wrong(path, 'a whole number', value);
    }
    return value;
  },
  encode: (value) => value,
};

/** A whole number that may not be negative (Go's uint64). */
export const unsigned: Codec<number> = {
  decode(value, path) {
    const number = integer.decode(value, path);
    if (number < 0) throw wrong(path, 'a whole number of 0 or more', value);
    return number;
  },
  encode: (value) => value,
};

export const float: Codec<number> = {
  decode(value, path) {
    if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(path, 'a number', value);
    return value;
  },
  encode: (value) => value,
};

/** Nanoseconds in JSON, as Docker's durations are; milliseconds in memory. */
export const durationMs: Codec<number> = {
  decode: (value, path) => integer.decode(value, path) / 1e6,
  encode: (value) => Math.round(value * 1e6),
};

/** Standard base64 in JSON; the same text in memory. */
export const base64: Codec<string> = {
  decode(value, path) {
    const text = string.decode(value, path);
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw wrong(path, 'base64', value);
    return text;
  },
  encode: (value) => value,
};

function object(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(path, 'an object', value);
  }
  return value as Record<string, unknown>;
}

function lookup(source: Record<string, unknown>, key: string): unknown {
  if (Object.hasOwn(source, key)) return source[key];
  const folded = key.toLowerCase();
  for (const candidate of Object.keys(source)) {
    if (candidate.toLowerCase() === folded) return source[candidate];
  }
  return undefined;
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function wrong(path: string, expected: string, value: unknown): CodecError {
  const got = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
  return new CodecError(`${path === '' ? 'the document' : path}: expected ${expected}, got ${got}`);
}

/** Docker writes null where nothing was said, and reads it so. */
export function nullable<T>(codec: Codec<T>): Codec<T | null> {
  return {
    ...(codec.fields === undefined ? {} : { fields: codec.fields }),
    ...(codec.item === undefined ? {} : { item: codec.item }),
    decode: (value, path) => (value === null ? null : codec.decode(value, path)),
    encode: (value) => (value === null ? null : codec.encode(value)),
  };
}
