/** Flags as values: declared once, with their words for --help and how their text is read. */
import { parseBytes, parseDecimalNano, parseDurationMs } from '../format/parse.ts';

export interface Flag<T> {
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in --help; empty for a switch, which takes none. */
  readonly word: string;
  readonly help: string;
  /** The default as --help shows it. */
  readonly shownDefault?: string;
  /** Throws an Error that says what is wrong with the text. `previous`: the value so far. */
  parse(text: string, previous: T | undefined): T;
}

/** The flags that were given, each read by its own declaration. */
export class FlagValues {
  readonly #values = new Map<string, unknown>();

  get<T>(flag: Flag<T>): T | undefined {
    return this.#values.get(flag.name) as T | undefined;
  }

  has(flag: Flag<unknown>): boolean {
    return this.#values.has(flag.name);
  }

  /** Reads one occurrence on the command line. */
  add<T>(flag: Flag<T>, text: string): void {
    this.#values.set(flag.name, flag.parse(text, this.get(flag)));
  }
}

interface Words {
  readonly short?: string;
  readonly word?: string;
  readonly shownDefault?: string;
}

function declare<T>(
  name: string,
  help: string,
  word: string,
  words: Words,
  parse: (text: string, previous: T | undefined) => T,
): Flag<T> {
  return { name, help, word, ...words, parse };
}

const trueWords = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const falseWords = ['0', 'f', 'F', 'false', 'FALSE', 'False'];
export const booleanWords: readonly string[] = [...trueWords, ...falseWords];

export function bool(name: string, help: string, words: Words = {}): Flag<boolean> {
  return declare(name, help, '', words, (text) => {
    if (trueWords.includes(text)) return true;
    if (falseWords.includes(text)) return false;
    throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
  });
}

export function text(name: string, help: string, words: Words = {}): Flag<string> {
  return declare(name, help, 'string', words, (value) => value);
}

export function oneOf<const W extends readonly string[]>(
  name: string,
  help: string,
  allowed: W,
  words: Words = {},
): Flag<W[number]> {
  return declare<W[number]>(name, help, 'string', words, (value) => {
    const found = allowed.find((word) => word === value.toLowerCase());
    if (found === undefined) throw new Error(`must be one of ${allowed.join(', ')}`);
    return found;
  });
}

/** May be given many times; the values are kept in order. */
export function list(name: string, help: string, words: Words = {}): Flag<readonly string[]> {
  return listOf(name, help, (value) => value, words);
}

export function listOf<T>(
  name: string,
  help: string,
  parse: (text: string) => T,
  words: Words = {},
): Flag<readonly T[]> {
  return declare<readonly T[]>(name, help, 'list', words, (value, previous = []) => [
    ...previous,
    parse(value),
  ]);
}

export function unsigned(name: string, help: string, words: Words = {}): Flag<number> {
  return declare(name, help, 'uint', words, (value) => {
    if (!/^\d+$/.test(value)) throw notANumber('ParseUint', value);
    return bounded('ParseUint', value);
  });
}

export function integer(name: string, help: string, words: Words = {}): Flag<number> {
  return declare(name, help, 'int', words, (value) => {
    if (!/^[-+]?\d+$/.test(value)) throw notANumber('ParseInt', value);
    return bounded('ParseInt', value);
  });
}

export function float(name: string, help: string, words: Words = {}): Flag<number> {
  return declare(name, help, 'float', words, (value) => {
    const number = Number(value);
    if (value.trim() === '' || !Number.isFinite(number)) throw notANumber('ParseFloat', value);
    return number;
  });
}

/** Go's durations (`1m30s`), in milliseconds. Docker refuses negative ones. */
export function durationMs(name: string, help: string, words: Words = {}): Flag<number> {
  return declare(name, help, 'duration', words, (value) => {
    const ms = parseDurationMs(value);
    if (ms < 0) throw new Error('duration must not be negative');
    return ms;
  });
}

/** `512m`, `1.5GiB`, in bytes. */
export function bytes(name: string, help: string, words: Words = {}): Flag<number> {
  return declare(name, help, 'bytes', words, parseBytes);
}

/** `0.5` CPUs, in billionths. */
export function cpus(name: string, help: string, words: Words = {}): Flag<number> {
  return declare(name, help, 'decimal', words, parseDecimalNano);
}

function notANumber(parser: string, value: string): Error {
  return new Error(`strconv.${parser}: parsing ${JSON.stringify(value)}: invalid syntax`);
}

function bounded(parser: string, value: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new Error(`strconv.${parser}: parsing ${JSON.stringify(value)}: value out of range`);
}
