/** Variables in values, in the forms that Compose knows: `$X`, `${X:-default}`, `${X?message}`. */
import { messageOf } from '../lib/errors.ts';
import { sequence, withChildren, type Node } from './node.ts';
import type { Problems } from './problems.ts';

export type Lookup = (name: string) => string | undefined;

interface InterpolateOptions {
  readonly lookup: Lookup;
  /** Called for a variable without a value and without a default. */
  readonly onUnset?: (name: string) => void;
}

const maxDepth = 20;
const name = /^[_a-zA-Z][_a-zA-Z0-9]*/;

/** Throws an Error that says what is wrong. `$$` is a dollar sign. */
export function interpolate(template: string, options: InterpolateOptions, depth = 0): string {
  if (depth > maxDepth) throw new Error('variables are nested too deeply');
  let result = '';
  let rest = template;
  for (;;) {
    const at = rest.indexOf('$');
    if (at < 0) return result + rest;
    result += rest.slice(0, at);
    rest = rest.slice(at + 1);
    if (rest.startsWith('$')) {
      result += '$';
      rest = rest.slice(1);
    } else if (rest.startsWith('{')) {
      const end = closingBrace(rest);
      if (end < 0) throw invalid(template, 'a ${ without its }');
      result += braced(rest.slice(1, end), template, options, depth);
      rest = rest.slice(end + 1);
    } else {
      const found = name.exec(rest)?.[0];
      if (found === undefined) {
        throw invalid(template, 'a $ that begins no variable: write $$ for a dollar sign');
      }
      result += valueOf(found, options);
      rest = rest.slice(found.length);
    }
  }
}

/** Interpolates every text of the tree. Keys stay as they are. */
export function interpolateNode(node: Node, options: InterpolateOptions, problems: Problems): Node {
  if (node.kind === 'mapping') {
    return withChildren(node, (value) => interpolateNode(value, options, problems));
  }
  if (node.kind === 'sequence') {
    return sequence(
      node.items.map((item) => interpolateNode(item, options, problems)),
      node,
    );
  }
  if (typeof node.value !== 'string' || !node.value.includes('$')) return node;
  try {
    const onUnset = (variable: string) =>
      problems.warn(node.at, `the variable ${variable} is not set: an empty text takes its place`);
    return { ...node, value: interpolate(node.value, { onUnset, ...options }) };
  } catch (error) {
    problems.addBroken(node.at, messageOf(error));
    return node;
  }
}

/** The index of the brace that closes the one at 0. */
function closingBrace(text: string): number {
  let open = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '{' && (i === 0 || text[i - 1] === '$')) open++;
    else if (text[i] === '}' && --open === 0) return i;
  }
  return -1;
}

function braced(
  inner: string,
  template: string,
  options: InterpolateOptions,
  depth: number,
): string {
  const variable = name.exec(inner)?.[0];
  if (variable === undefined) throw invalid(template, 'a ${ that is followed by no variable');
  const rest = inner.slice(variable.length);
  if (rest === '') return valueOf(variable, options);
  const [, operator = '', word = ''] = /^(:?[-+?])([^]*)$/.exec(rest) ?? [];
  const value = options.lookup(variable);
  const isThere = value !== undefined && (!operator.startsWith(':') || value !== '');
  const expand = () => interpolate(word, options, depth + 1);
  switch (operator.at(-1)) {
    case '-':
      return isThere ? value : expand();
    case '+':
      return isThere ? expand() : '';
    case '?':
      if (isThere) return value;
      throw new Error(`required variable ${variable} is missing a value: ${expand()}`);
    default:
      throw invalid(template, `"\${${inner}}" is not of the form \${NAME}, \${NAME:-default}, …`);
  }
}

function valueOf(variable: string, { lookup, onUnset }: InterpolateOptions): string {
  const value = lookup(variable);
  if (value === undefined) onUnset?.(variable);
  return value ?? '';
}

function invalid(template: string, why: string): Error {
  return new Error(`invalid interpolation format for "${template}": ${why}`);
}
