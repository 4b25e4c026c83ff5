/** `.env` and `env_file`: lines of NAME=value, in the dialect of Compose. */
import { messageOf } from '../lib/errors.ts';
import { interpolate, type Lookup } from './interpolate.ts';
import type { Problems } from './problems.ts';

interface DotenvOptions {
  /** What a value may refer to besides what stands above it in the file. */
  readonly lookup: Lookup;
  /** `raw`: values are taken as they stand, quotes, comments and dollar signs included. */
  readonly format?: 'compose' | 'raw';
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '"': '"',
  '\\': '\\',
};

/** In the order of the file. A name without a value takes the environment's, if there is one. */
export function parseDotenv(
  text: string,
  file: string,
  options: DotenvOptions,
  problems: Problems,
): Map<string, string> {
  const values = new Map<string, string>();
  const lookup: Lookup = (name) => options.lookup(name) ?? values.get(name);
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const at = { file, line: index + 1, column: 1 };
    if (/^\s*(#|$)/.test(line)) continue;
    const match = /^\s*(?:export\s+)?([A-Za-z0-9_.[\]-]+)\s*(?:([=:])[ \t]*([^]*))?$/.exec(line);
    if (match === null) {
      problems.add(at, `"${line.trim()}" is not of the form NAME=value`);
      continue;
    }
    const [, name = '', separator, given = ''] = match;
    if (separator === undefined) {
      const inherited = options.lookup(name);
      if (inherited !== undefined) values.set(name, inherited);
      continue;
    }
    if (options.format === 'raw') {
      values.set(name, given);
      continue;
    }
    try {
      const { value, used } = readValue(given, lines, index, lookup);
      values.set(name, value);
      index += used;
    } catch (error) {
      problems.add(at, messageOf(error));
    }
  }
  return values;
}

/** `used`: how many further lines a quoted value goes over. */
function readValue(
  given: string,
  lines: readonly string[],
  index: number,
  lookup: Lookup,
): { value: string; used: number } {
  const quote = given[0];
  if (quote !== '"' && quote !== "'") {
    const bare = given.replace(/(^|\s)#.*$/, '').trimEnd();
    return { value: interpolate(bare, { lookup }), used: 0 };
  }
  let body = given.slice(1);
  for (let used = 0; ; used++) {
    const end = closingQuote(body, quote);
    if (end >= 0) {
      const inner = body.slice(0, end);
      return { value: quote === "'" ? inner : unescape(inner, lookup), used };
    }
    const next = lines[index + used + 1];
    if (next === undefined) throw new Error(`a quoted value has no closing ${quote}`);
    body += `\n${next}`;
  }
}

function closingQuote(text: string, quote: string): number {
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && quote === '"') i++;
    else if (text[i] === quote) return i;
  }
  return -1;
}

function unescape(text: string, lookup: Lookup): string {
  const plain = text.replace(/\\([^])/g, (whole, char: string) =>
    char === '$' ? '$$' : (escapes[char] ?? whole),
  );
  return interpolate(plain, { lookup });
}
