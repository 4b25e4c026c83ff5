/**
 * How a flag of `service create` and `service update` is declared: once, with its words and with
 * what it does to a spec. A collection is one flag of `create` and two of `update` (-add, -rm).
 */
import type { Flag, FlagValues } from '../command/flags.ts';
import { list, listOf } from '../command/flags.ts';
import type { SpecDraft } from './draft.ts';

export type SpecVerb = 'create' | 'update';

export interface SpecFlag {
  flags(verb: SpecVerb): readonly Flag<unknown>[];
  /** Changes the spec as the flags ask. Throws a SwarmError for what does not fit it. */
  apply(spec: SpecDraft, values: FlagValues, verb: SpecVerb): void;
}

/** A flag with one value. `only`: the verb that has it, where not both do. */
export function scalar<T>(
  flag: Flag<T>,
  set: (spec: SpecDraft, value: T) => void,
  { only }: { only?: SpecVerb } = {},
): SpecFlag {
  return {
    flags: (verb) => (only === undefined || only === verb ? [flag] : []),
    apply(spec, values) {
      const value = values.get(flag);
      if (value !== undefined) set(spec, value);
    },
  };
}

interface Collection<T> {
  readonly name: string;
  readonly short?: string;
  readonly word?: string;
  readonly help: string;
  readonly addHelp: string;
  readonly rmHelp: string;
  parse(text: string): T | readonly T[];
  /** Entries with the same key replace each other. */
  key(entry: T): string;
  /** The key that a value of the -rm flag names; the value itself where left out. */
  rmKey?(text: string): string;
  /** Whether a -rm value takes this entry away; equality of keys where left out. */
  matches?(entry: T, rm: string): boolean;
  read(spec: SpecDraft): readonly T[];
  write(spec: SpecDraft, entries: T[]): void;
}

/** A flag that may be given many times, and that `update` changes entry by entry. */
export function collection<T>(declared: Collection<T>): SpecFlag {
  const { name, help, addHelp, rmHelp } = declared;
  const longOnly = declared.word === undefined ? {} : { word: declared.word };
  const words = { ...longOnly, ...(declared.short === undefined ? {} : { short: declared.short }) };
  const parse = (text: string) => declared.parse(text);
  const create = listOf(name, help, parse, words);
  const add = listOf(`${name}-add`, addHelp, parse, longOnly);
  const rm = list(`${name}-rm`, rmHelp);
  const rmKey = (text: string) => declared.rmKey?.(text) ?? text;
  const matches = (entry: T, text: string) =>
    declared.matches?.(entry, text) ?? declared.key(entry) === rmKey(text);
  return {
    flags: (verb) => (verb === 'create' ? [create] : [add, rm]),
    apply(spec, values, verb) {
      const added = values.get(verb === 'create' ? create : add)?.flat() as
        | readonly T[]
        | undefined;
      const removed = verb === 'update' ? values.get(rm) : undefined;
      if (added === undefined && removed === undefined) return;
      const entries = new Map<string, T>();
      for (const entry of declared.read(spec)) {
        if (removed?.some((text) => matches(entry, text))) continue;
        entries.set(declared.key(entry), entry);
      }
      for (const entry of added ?? []) entries.set(declared.key(entry), entry);
      declared.write(spec, [...entries.values()]);
    },
  };
}

/** A collection of plain words, each its own key. */
export function words(
  declared: Pick<Collection<string>, 'name' | 'help' | 'addHelp' | 'rmHelp'> & {
    readonly check?: (text: string) => string;
    read(spec: SpecDraft): readonly string[] | undefined;
    write(spec: SpecDraft, entries: string[]): void;
  },
): SpecFlag {
  return collection<string>({
    ...declared,
    parse: declared.check ?? ((text) => text),
    key: (entry) => entry,
    read: (spec) => declared.read(spec) ?? [],
  });
}

/** A collection of `key=value` that the spec keeps as a record. */
export function pairs(
  declared: Pick<Collection<string>, 'name' | 'short' | 'help' | 'addHelp' | 'rmHelp'> & {
    read(spec: SpecDraft): Record<string, string> | undefined;
    write(spec: SpecDraft, entries: Record<string, string>): void;
  },
): SpecFlag {
  return collection<readonly [string, string]>({
    ...declared,
    parse(text) {
      const at = text.indexOf('=');
      if (text === '' || at === 0) {
        throw new Error(`invalid ${declared.name} '${text}': empty name`);
      }
      return [at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]];
    },
    key: ([key]) => key,
    read: (spec) => Object.entries(declared.read(spec) ?? {}),
    write: (spec, entries) => declared.write(spec, Object.fromEntries(entries)),
  });
}
