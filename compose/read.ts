/** Reads values of the merged document as what they should be, and says where they are not. */
import { messageOf } from '../lib/errors.ts';
import { parseBytes, parseDecimalNano, parseDurationMs, parseShellWords } from '../lib/units.ts';
import { keys, type KeyPlace, type Use } from './keys.ts';
import { child, isNull, type Mapping, type Node, type Scalar } from './node.ts';
import type { Problems } from './problems.ts';

/** A value with the words that name it in messages: `services.web.ports`. */
export interface Field {
  readonly node: Node | undefined;
  readonly name: string;
}

const trueWords = ['true', 'yes', 'on', 'y', '1'];
const falseWords = ['false', 'no', 'off', 'n', '0'];

export class Reader {
  readonly problems: Problems;

  constructor(problems: Problems) {
    this.problems = problems;
  }

  /** A value of a mapping; its node is undefined where it is absent or null. */
  at({ node, name }: Field, key: string): Field {
    const value = child(node, key);
    return { node: isNull(value) ? undefined : value, name: `${name}.${key}` };
  }

  /** Checks what a mapping holds against the table of keys. False where it is no mapping. */
  keys(field: Field, place: KeyPlace): boolean {
    const { node, name } = field;
    if (node === undefined) return false;
    if (node.kind !== 'mapping') {
      this.problems.add(node.at, `${name} must be a mapping`);
      return false;
    }
    const known: Readonly<Record<string, Use>> = keys[place];
    for (const [key, { keyAt, value }] of node.entries) {
      if (key.startsWith('x-')) continue;
      const what = `${name === '' ? '' : `${name}.`}${key}`;
      const use = Object.hasOwn(known, key) ? known[key] : undefined;
      if (use === undefined) {
        this.problems.add(keyAt, `${what} is no key of a compose file${hint(key, known)}`);
      } else if (use.use === 'refused' && asksForSomething(value)) {
        this.problems.add(keyAt, `${what} is not supported: ${use.how}`);
      }
    }
    return true;
  }

  text({ node, name }: Field): string | undefined {
    if (node === undefined) return undefined;
    if (node.kind === 'scalar') return textOf(node);
    this.problems.add(node.at, `${name} must be a text`);
    return undefined;
  }

  boolean({ node, name }: Field): boolean | undefined {
    if (node === undefined) return undefined;
    const word = node.kind === 'scalar' ? textOf(node).toLowerCase() : '';
    if (trueWords.includes(word)) return true;
    if (falseWords.includes(word)) return false;
    this.problems.add(node.at, `${name} must be true or false`);
    return undefined;
  }

  /** A whole number of at least `min`. */
  integer(field: Field, min = 0): number | undefined {
    const number = this.#parsed(field, (text) => {
      if (!/^[-+]?\d+$/.test(text)) throw new Error('it must be a whole number');
      return Number(text);
    });
    if (number === undefined || number >= min) return number;
    this.problems.add(field.node!.at, `${field.name}: ${number} is less than ${min}`);
    return undefined;
  }

  number(field: Field): number | undefined {
    return this.#parsed(field, (text) => {
      const number = Number(text);
      if (text.trim() === '' || !Number.isFinite(number)) throw new Error('it must be a number');
      return number;
    });
  }

  durationMs(field: Field): number | undefined {
    return this.#parsed(field, parseDurationMs);
  }

  bytes(field: Field): number | undefined {
    return this.#parsed(field, parseBytes);
  }

  nanoCpus(field: Field): number | undefined {
    return this.#parsed(field, parseDecimalNano);
  }

  /** `0440`, which YAML reads as an octal number, or the same in quotes. */
  mode(field: Field): number | undefined {
    const { node } = field;
    if (node?.kind === 'scalar' && typeof node.value === 'number') return node.value;
    return this.#parsed(field, (text) => {
      if (!/^(0o)?[0-7]+$/.test(text)) throw new Error('it must be an octal number');
      return parseInt(text.replace('0o', ''), 8);
    });
  }

  oneOf<const W extends readonly string[]>(field: Field, words: W): W[number] | undefined {
    const text = this.text(field);
    if (text === undefined) return undefined;
    const found = words.find((word) => word === text);
    if (found === undefined) {
      this.problems.add(
        field.node!.at,
        `${field.name}: "${text}" is not one of ${words.join(', ')}`,
      );
    }
    return found;
  }

  /** The parts of a list; empty where it is absent. */
  items({ node, name }: Field): readonly Field[] {
    if (node === undefined) return [];
    if (node.kind === 'sequence') {
      return node.items.map((item, index) => ({ node: item, name: `${name}[${index}]` }));
    }
    this.problems.add(node.at, `${name} must be a list`);
    return [];
  }

  texts(field: Field): readonly string[] {
    return this.items(field).flatMap((item) => this.text(item) ?? []);
  }

  /** The parts of a mapping by their names, `x-` keys left out. */
  entries({ node, name }: Field): readonly (readonly [string, Field, Mapping['at']])[] {
    if (node === undefined) return [];
    if (node.kind === 'mapping') {
      return [...node.entries]
        .filter(([key]) => !key.startsWith('x-'))
        .map(([key, { keyAt, value }]) => [
          key,
          { node: isNull(value) ? undefined : value, name: `${name}.${key}` },
          keyAt,
        ]);
    }
    this.problems.add(node.at, `${name} must be a mapping`);
    return [];
  }

  /** A mapping of texts; what has no value is undefined. */
  pairs({ node, name }: Field): Readonly<Record<string, string | undefined>> {
    if (node === undefined) return {};
    if (node.kind !== 'mapping') {
      this.problems.add(node.at, `${name} must be a mapping, or a list of NAME=value`);
      return {};
    }
    return Object.fromEntries(
      [...node.entries].map(([key, { value }]) => [
        key,
        isNull(value) ? undefined : this.text({ node: value, name: `${name}.${key}` }),
      ]),
    );
  }

  record(field: Field): Record<string, string> {
    const pairs = Object.entries(this.pairs(field));
    return Object.fromEntries(pairs.map(([key, value]) => [key, value ?? '']));
  }

  /** A command: a list of words, or one text that is split as a shell would. */
  words(field: Field): readonly string[] | undefined {
    const { node } = field;
    if (node === undefined) return undefined;
    return node.kind === 'sequence' ? this.texts(field) : this.#parsed(field, parseShellWords);
  }

  #parsed<T>(field: Field, parse: (text: string) => T): T | undefined {
    const text = this.text(field);
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (error) {
      this.problems.add(field.node!.at, `${field.name}: "${text}": ${messageOf(error)}`);
      return undefined;
    }
  }
}

function textOf({ value }: Scalar): string {
  return value === null ? '' : String(value);
}

/** `privileged: false` and `devices: []` are as good as nothing. */
function asksForSomething(node: Node): boolean {
  if (node.kind === 'scalar') return ![null, false, '', 'false'].includes(node.value as string);
  return node.kind === 'sequence' ? node.items.length > 0 : node.entries.size > 0;
}

/** A key that is but one letter away, or in another case. */
function hint(key: string, known: Readonly<Record<string, Use>>): string {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '');
  const found = Object.keys(known).find(
    (candidate) =>
      plain(candidate) === plain(key) ||
      (key.length > 3 && (candidate === `${key}s` || `${candidate}s` === key)) ||
      (key.length > 2 && isNear(candidate, key)),
  );
  return found === undefined ? '' : `: is "${found}" meant?`;
}

function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return Math.max(a.length, b.length) - start - end <= 1;
}
