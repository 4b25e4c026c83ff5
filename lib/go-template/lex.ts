/** Cuts a template into text and actions, and an action into tokens. */
import { TemplateError } from './error.ts';

export interface Piece {
  readonly kind: 'text' | 'action';
  readonly text: string;
  readonly line: number;
  /** Zero-based, within the line. */
  readonly column: number;
}

export interface Token {
  readonly kind: 'field' | 'variable' | 'word' | 'string' | 'number' | 'char' | 'sign' | 'dot';
  readonly text: string;
  readonly value?: string | number;
  /** There was white space before it. */
  readonly spaced: boolean;
}

/** Text and the insides of {{…}}; comments are dropped, `{{-` and `-}}` trim the text beside them. */
export function lexPieces(source: string): Piece[] {
  const pieces: Piece[] = [];
  let position = 0;
  let trimNext = false;
  const place = (at: number) => {
    const before = source.slice(0, at);
    return { line: before.split('\n').length, column: at - (before.lastIndexOf('\n') + 1) };
  };
  while (position < source.length) {
    const open = source.indexOf('{{', position);
    const end = open < 0 ? source.length : open;
    let text = source.slice(position, end);
    if (trimNext) text = text.trimStart();
    const trimsBefore = open >= 0 && /^\{\{-\s/.test(source.slice(open, open + 4));
    if (trimsBefore) text = text.trimEnd();
    if (text !== '') pieces.push({ kind: 'text', text, ...place(position) });
    if (open < 0) break;
    const start = open + (trimsBefore ? 3 : 2);
    const close = closing(source, start, place(open).line);
    const inside = source.slice(start, close);
    trimNext = /\s-$/.test(inside);
    const body = trimNext ? inside.slice(0, -1) : inside;
    if (!/^\s*\/\*[\s\S]*\*\/\s*$/.test(body)) {
      pieces.push({ kind: 'action', text: body, ...place(start) });
    }
    position = close + 2;
  }
  return pieces;
}

/** Where the action that starts at `start` ends; quotes may hold braces. */
function closing(source: string, start: number, line: number): number {
  const comment = /^\s*\/\*/.exec(source.slice(start));
  let from = start;
  if (comment !== null) {
    const end = source.indexOf('*/', start);
    if (end < 0) throw syntaxError(line, 'unclosed comment');
    from = end + 2;
  }
  for (let at = from; at < source.length; at++) {
    const char = source[at];
    if (source.startsWith('}}', at)) return at;
    if (char === '"' || char === '`' || char === "'") {
      const end = endOfQuote(source, at);
      if (end < 0) {
        const kind =
          char === '"'
            ? 'quoted string'
            : char === '`'
              ? 'raw quoted string'
              : 'character constant';
        throw syntaxError(line, `unterminated ${kind}`);
      }
      at = end;
    }
  }
  throw syntaxError(line, 'unclosed action');
}

function endOfQuote(source: string, start: number): number {
  const quote = source[start];
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === '\\' && quote !== '`') at++;
    else if (source[at] === quote) return at;
    else if (source[at] === '\n' && quote !== '`') return -1;
  }
  return -1;
}

export function syntaxError(line: number, message: string): TemplateError {
  return new TemplateError(`:${line}: ${message}`);
}

const patterns: readonly (readonly [Token['kind'], RegExp])[] = [
  ['number', /^[-+]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)/],
  ['field', /^\.[\p{L}_][\p{L}\p{N}_]*/u],
  ['variable', /^\$[\p{L}\p{N}_]*/u],
  ['word', /^[\p{L}_][\p{L}\p{N}_]*/u],
  ['dot', /^\./],
  ['sign', /^(?::=|=|\||\(|\)|,)/],
];

export function lexAction(piece: Piece): Token[] {
  const tokens: Token[] = [];
  let rest = piece.text;
  let spaced = true;
  while (rest !== '') {
    const space = /^\s+/.exec(rest)?.[0] ?? '';
    if (space !== '') {
      spaced = true;
      rest = rest.slice(space.length);
      continue;
    }
    const token = quoted(rest, spaced, piece.line) ?? plain(rest, spaced);
    if (token === undefined) {
      const char = String.fromCodePoint(rest.codePointAt(0) ?? 0);
      throw syntaxError(piece.line, `unexpected ${JSON.stringify(char)} in operand`);
    }
    tokens.push(token);
    rest = rest.slice(token.text.length);
    spaced = false;
  }
  return tokens;
}

function plain(rest: string, spaced: boolean): Token | undefined {
  for (const [kind, pattern] of patterns) {
    const text = pattern.exec(rest)?.[0];
    if (text === undefined) continue;
    return { kind, text, spaced, ...(kind === 'number' ? { value: Number(text) } : {}) };
  }
  return undefined;
}

function quoted(rest: string, spaced: boolean, line: number): Token | undefined {
  const quote = rest[0];
  if (quote !== '"' && quote !== '`' && quote !== "'") return undefined;
  const text = rest.slice(0, endOfQuote(rest, 0) + 1);
  const inside = text.slice(1, -1);
  if (quote === '`') return { kind: 'string', text, value: inside, spaced };
  const value = unquote(inside, line);
  if (quote === '"') return { kind: 'string', text, value, spaced };
  return { kind: 'char', text, value: value.codePointAt(0) ?? 0, spaced };
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
};

function unquote(text: string, line: number): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/g,
    (all: string, x?: string, u?: string, long?: string, single?: string) => {
      const code = x ?? u ?? long;
      if (code !== undefined) return String.fromCodePoint(parseInt(code, 16));
      if (single !== undefined && escapes[single] !== undefined) return escapes[single];
      if (single === '\\' || single === '"' || single === "'") return single;
      throw syntaxError(line, `invalid escape ${all} in a quoted string`);
    },
  );
}
