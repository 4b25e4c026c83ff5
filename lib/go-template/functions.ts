/** The functions of Go's text/template and those that Docker adds, and how values are printed. */

import { isPrinted, StringMap } from './values.ts';

export type TemplateFunction = (...args: readonly unknown[]) => unknown;

/** Go's notion of truth: what is not the zero of its type. */
export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null || typeof value === 'symbol') return false;
  if (Array.isArray(value)) return value.length > 0;
  if (isPrinted(value)) return true;
  if (value instanceof StringMap) return isTrue(value.entries);
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As Go prints it: maps as `map[a:1]`, lists as `[a b]`. */
export function print(value: unknown): string {
  if (value === undefined) return '<no value>';
  if (value === null || typeof value === 'symbol') return '<nil>';
  if (Array.isArray(value)) return `[${value.map(print).join(' ')}]`;
  if (isPrinted(value)) return value.toString();
  if (value instanceof StringMap) return print(value.entries);
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${print(item)}`).join(' ')}]`;
  }
  if (typeof value === 'function') return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Marks the row of a list: Docker writes those with Go's escapes for HTML, and nothing else. */
export const rowMark = Symbol('row of a list');

const htmlInJson: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
};

function json(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  const isRow = typeof value === 'object' && value !== null && rowMark in value;
  return isRow ? text.replace(/[<>&]/g, (char) => htmlInJson[char] ?? char) : text;
}

function size(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (value instanceof StringMap) return size(value.entries);
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw new Error(`len of type ${typeof value}`);
}

function index(value: unknown, ...keys: readonly unknown[]): unknown {
  return keys.reduce((current, key) => {
    if (current === undefined || current === null) throw new Error('index of untyped nil');
    if (typeof current === 'string' || Array.isArray(current)) {
      const at = Number(key);
      if (!Number.isInteger(at))
        throw new Error(`cannot index slice/array with type ${typeof key}`);
      if (at < 0 || at >= current.length) throw new Error(`index out of range: ${at}`);
      return typeof current === 'string' ? current.charCodeAt(at) : (current[at] as unknown);
    }
    if (typeof current !== 'object') throw new Error(`can't index item of type ${typeof current}`);
    const name = String(key);
    if (current instanceof StringMap) return current.get(name);
    return Object.hasOwn(current, name) ? (current as Record<string, unknown>)[name] : '';
  }, value);
}

function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (typeof value !== 'string' && !Array.isArray(value)) throw new Error("can't slice this value");
  const end = to === undefined ? value.length : Number(to);
  if (Number(from) < 0 || end > value.length || Number(from) > end) {
    throw new Error(`index out of range: ${end}`);
  }
  return value.slice(Number(from), end);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new Error('incompatible types for comparison');
}

function equal(a: unknown, ...others: readonly unknown[]): boolean {
  if (others.length === 0) throw new Error('missing argument for comparison');
  return others.some(
    (b) => a === b || ((a ?? undefined) === undefined && (b ?? undefined) === undefined),
  );
}

/** Spaces go between operands where neither is a string. */
function sprint(values: readonly unknown[]): string {
  return values.reduce<string>((text, value, at) => {
    const bare = at > 0 && typeof value !== 'string' && typeof values[at - 1] !== 'string';
    return text + (bare ? ' ' : '') + print(value);
  }, '');
}

/** Go's. */
const maxWidth = 1e6;

function printf(format: unknown, ...args: readonly unknown[]): string {
  let next = 0;
  const text = String(format).replace(
    /%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (next >= args.length) return `%!${verb}(MISSING)`;
      const body = verbText(verb, args[next++], precision);
      const room = Math.min(Number(width ?? 0), maxWidth);
      if (flags.includes('-')) return body.padEnd(room);
      return body.padStart(room, flags.includes('0') && verb !== 's' ? '0' : ' ');
    },
  );
  if (next >= args.length) return text;
  return `${text}%!(EXTRA ${args
    .slice(next)
    .map((arg) => `${typeof arg}=${print(arg)}`)
    .join(', ')})`;
}

function verbText(verb: string, value: unknown, precision: string | undefined): string {
  switch (verb) {
    case 's':
    case 'v':
      return precision === undefined ? print(value) : print(value).slice(0, Number(precision));
    case 'q':
      return JSON.stringify(print(value));
    case 'd':
      return typeof value === 'number' ? String(Math.trunc(value)) : bad(verb, value);
    case 'f':
      return typeof value === 'number'
        ? value.toFixed(Math.min(Number(precision ?? 6), 100))
        : bad(verb, value);
    case 'g':
      return typeof value === 'number' ? String(value) : bad(verb, value);
    case 'x':
    case 'X': {
      const hex =
        typeof value === 'number' ? value.toString(16) : Buffer.from(print(value)).toString('hex');
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
    case 't':
      return typeof value === 'boolean' ? String(value) : bad(verb, value);
    case 'T':
      return typeof value;
    default:
      return bad(verb, value);
  }
}

function bad(verb: string, value: unknown): string {
  return `%!${verb}(${typeof value}=${print(value)})`;
}

const escapesHtml: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

/** Those of text/template itself. */
export const goFunctions: Readonly<Record<string, TemplateFunction>> = {
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: (value) => !isTrue(value),
  len: size,
  index,
  slice,
  print: (...values) => sprint(values),
  println: (...values) => `${values.map(print).join(' ')}\n`,
  printf,
  eq: equal,
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  html: (...values) => sprint(values).replace(/[&<>"']/g, (char) => escapesHtml[char] ?? char),
  js: (...values) => JSON.stringify(sprint(values)).slice(1, -1),
  urlquery: (...values) => encodeURIComponent(sprint(values)).replaceAll('%20', '+'),
};

/** Those that Docker adds in --format, and in the tags of logs. */
export const dockerFunctions: Readonly<Record<string, TemplateFunction>> = {
  ...goFunctions,
  json,
  split: (text, separator) => String(text).split(String(separator)),
  join: (values, separator) => {
    if (!Array.isArray(values)) throw new Error(`wrong type for value; expected []string`);
    return values.map(print).join(String(separator));
  },
  title: (text) => String(text).replace(/(^|\s)\S/g, (start) => start.toUpperCase()),
  lower: (text) => String(text).toLowerCase(),
  upper: (text) => String(text).toUpperCase(),
  pad: (text, before, after) =>
    text === '' ? '' : ' '.repeat(Number(before)) + String(text) + ' '.repeat(Number(after)),
  truncate: (text, length) => Array.from(String(text)).slice(0, Number(length)).join(''),
};

/** In a table's header the functions leave the words as they are. */
export const headerFunctions: Readonly<Record<string, TemplateFunction>> = Object.fromEntries(
  ['json', 'title', 'lower', 'upper', 'truncate', 'split', 'join', 'pad', 'println'].map((name) => [
    name,
    (value: unknown) => value,
  ]),
);
