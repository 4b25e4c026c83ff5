/** Runs a parsed template over plain values, as Go's text/template would. */
import { unreachable } from '../assert.ts';
import { messageOf } from '../errors.ts';
import { TemplateError } from './error.ts';
import { isTrue, print, type TemplateFunction } from './functions.ts';
import { StringMap } from './values.ts';
import type { ParsedTemplate, Pipeline, TemplateNode, Term } from './parse.ts';

type Functions = Readonly<Record<string, TemplateFunction>>;
type Signal = 'break' | 'continue' | undefined;

/** Templates may call each other; one that calls itself for ever must end all the same. */
const maxDepth = 1000;
/** Templates come from users of the swarm, and managers run them: they end, and soon. */
const maxSteps = 1_000_000;
const maxOutput = 16 * 1024 * 1024;

/** A field that this kind of object has in Docker, and that this one left out. */
const absent = Symbol('absent');

export interface Environment {
  readonly functions: Functions;
  /** Says which fields an object may leave out: they read as nothing instead of failing. */
  readonly optional: (name: string) => boolean;
}

export function execute(parsed: ParsedTemplate, data: unknown, environment: Environment): string {
  const run = new Execution(parsed, environment);
  run.nodes(parsed.root, data, new Scope(undefined, [['$', data]]), 0);
  return run.output;
}

class Scope {
  readonly #parent: Scope | undefined;
  readonly #values: Map<string, unknown>;

  constructor(parent: Scope | undefined, values: readonly (readonly [string, unknown])[] = []) {
    this.#parent = parent;
    this.#values = new Map(values);
  }

  find(name: string): Map<string, unknown> | undefined {
    return this.#values.has(name) ? this.#values : this.#parent?.find(name);
  }

  declare(name: string, value: unknown): void {
    this.#values.set(name, value);
  }
}

class Execution {
  output = '';
  #steps = 0;
  readonly #parsed: ParsedTemplate;
  readonly #functions: Functions;
  readonly #optional: (name: string) => boolean;

  constructor(parsed: ParsedTemplate, { functions, optional }: Environment) {
    this.#parsed = parsed;
    this.#functions = functions;
    this.#optional = optional;
  }

  nodes(nodes: readonly TemplateNode[], dot: unknown, scope: Scope, depth: number): Signal {
    for (const node of nodes) {
      if (++this.#steps > maxSteps) throw new TemplateError('it does not come to an end');
      const signal = this.#node(node, dot, scope, depth);
      if (signal !== undefined) return signal;
    }
    return undefined;
  }

  #node(node: TemplateNode, dot: unknown, scope: Scope, depth: number): Signal {
    switch (node.kind) {
      case 'text':
        this.#write(node.text);
        return undefined;
      case 'action': {
        const value = this.#pipeline(node.pipeline, dot, scope);
        if (node.pipeline.variables.length === 0) this.#write(print(value));
        return undefined;
      }
      case 'break':
      case 'continue':
        return node.kind;
      case 'template':
        this.#call(node.name, node.pipeline, dot, scope, depth);
        return undefined;
      case 'if':
      case 'with': {
        const inner = new Scope(scope);
        const value = this.#pipeline(node.pipeline, dot, inner);
        if (!isTrue(value)) return this.nodes(node.otherwise, dot, inner, depth);
        return this.nodes(node.body, node.kind === 'with' ? value : dot, inner, depth);
      }
      case 'range':
        return this.#range(node, dot, scope, depth);
      default:
        return unreachable(node);
    }
  }

  #write(text: string): void {
    if (this.output.length + text.length > maxOutput) throw new TemplateError('it makes too much');
    this.output += text;
  }

  #call(
    name: string,
    pipeline: Pipeline | undefined,
    dot: unknown,
    scope: Scope,
    depth: number,
  ): void {
    const nodes = this.#parsed.defined.get(name);
    if (nodes === undefined || depth >= maxDepth) {
      const problem = nodes === undefined ? 'not defined' : 'calls itself too deeply';
      throw new TemplateError(`: template ${JSON.stringify(name)} ${problem}`);
    }
    const value = pipeline === undefined ? undefined : this.#pipeline(pipeline, dot, scope);
    this.nodes(nodes, value, new Scope(undefined, [['$', value]]), depth + 1);
  }

  #range(
    node: Extract<TemplateNode, { kind: 'if' | 'with' | 'range' }>,
    dot: unknown,
    scope: Scope,
    depth: number,
  ): Signal {
    const { pipeline } = node;
    const value = this.#evaluate(pipeline, dot, scope);
    const entries = this.#entries(value, pipeline);
    if (entries.length === 0) return this.nodes(node.otherwise, dot, scope, depth);
    for (const [key, item] of entries) {
      const inner = new Scope(scope);
      const [first, second] = pipeline.variables;
      if (first !== undefined) inner.declare(first, second === undefined ? item : key);
      if (second !== undefined) inner.declare(second, item);
      if (this.nodes(node.body, item, inner, depth) === 'break') break;
    }
    return undefined;
  }

  #entries(value: unknown, pipeline: Pipeline): [unknown, unknown][] {
    if (value === undefined || value === null || value === absent) return [];
    if (Array.isArray(value)) return value.map((item, index) => [index, item]);
    if (typeof value === 'number' && value > maxSteps) {
      throw this.#error(pipeline, `range over ${value} is too long`);
    }
    if (typeof value === 'number')
      return Array.from({ length: value }, (_, index) => [index, index]);
    if (typeof value === 'object') {
      const object =
        value instanceof StringMap ? value.entries : (value as Record<string, unknown>);
      return Object.keys(object)
        .sort()
        .map((key) => [key, object[key]]);
    }
    throw this.#error(pipeline, `range can't iterate over ${print(value)}`);
  }

  #pipeline(pipeline: Pipeline, dot: unknown, scope: Scope): unknown {
    const value = this.#evaluate(pipeline, dot, scope);
    for (const name of pipeline.variables) {
      if (pipeline.declares) {
        scope.declare(name, value);
        continue;
      }
      const holder = scope.find(name);
      if (holder === undefined) throw this.#error(pipeline, `undefined variable ${name}`);
      holder.set(name, value);
    }
    return value;
  }

  #evaluate(pipeline: Pipeline, dot: unknown, scope: Scope): unknown {
    let value: unknown;
    pipeline.commands.forEach((command, index) => {
      value = this.#command(command, index === 0 ? [] : [value], pipeline, dot, scope);
    });
    return value;
  }

  #command(
    [head, ...rest]: readonly Term[],
    piped: readonly unknown[],
    pipeline: Pipeline,
    dot: unknown,
    scope: Scope,
  ): unknown {
    const term = head!;
    const isFunction = term.operand.kind === 'function' && term.fields.length === 0;
    const lazy = isFunction && (term.operand.name === 'and' || term.operand.name === 'or');
    if (lazy) return this.#logic(term.operand.name === 'and', rest, piped, pipeline, dot, scope);
    const args = [...rest.map((arg) => this.#term(arg, pipeline, dot, scope)), ...piped];
    if (isFunction) return this.#invoke(term.operand.name, args, pipeline);
    const value = this.#term(term, pipeline, dot, scope);
    if (typeof value === 'function') return (value as TemplateFunction)(...args);
    if (args.length > 0) {
      const name = term.fields.at(-1) ?? pipeline.text;
      throw this.#error(pipeline, `${name} is not a method but has arguments`);
    }
    return value;
  }

  /** `and` and `or` stop at the first operand that settles them, and return it. */
  #logic(
    all: boolean,
    terms: readonly Term[],
    piped: readonly unknown[],
    pipeline: Pipeline,
    dot: unknown,
    scope: Scope,
  ): unknown {
    let value: unknown;
    for (const term of terms) {
      value = this.#term(term, pipeline, dot, scope);
      if (isTrue(value) !== all) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }

  #invoke(name: string, args: readonly unknown[], pipeline: Pipeline): unknown {
    try {
      return this.#functions[name]!(...args.map((arg) => (arg === absent ? undefined : arg)));
    } catch (error) {
      throw this.#error(pipeline, `error calling ${name}: ${messageOf(error)}`);
    }
  }

  #term(term: Term, pipeline: Pipeline, dot: unknown, scope: Scope): unknown {
    let value = this.#operand(term, pipeline, dot, scope);
    for (const field of term.fields) value = this.#field(value, field, pipeline);
    return value;
  }

  #operand({ operand }: Term, pipeline: Pipeline, dot: unknown, scope: Scope): unknown {
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return undefined;
      case 'literal':
        return operand.value;
      case 'variable': {
        const holder = scope.find(operand.name);
        if (holder === undefined) {
          throw this.#error(pipeline, `undefined variable ${JSON.stringify(operand.name)}`);
        }
        return holder.get(operand.name);
      }
      case 'function':
        return this.#invoke(operand.name, [], pipeline);
      case 'pipeline':
        return this.#pipeline(operand.pipeline, dot, scope);
      default:
        return unreachable(operand);
    }
  }

  #field(value: unknown, name: string, pipeline: Pipeline): unknown {
    if (value === undefined || value === null || value === absent) {
      throw this.#error(pipeline, `nil pointer evaluating interface {}.${name}`);
    }
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw this.#error(pipeline, `can't evaluate field ${name} in type ${goType(value)}`);
    }
    if (value instanceof StringMap) return value.get(name);
    if (Object.hasOwn(value, name)) return (value as Record<string, unknown>)[name];
    // Networks and containers say Id in JSON, and ID in the structs that Docker's templates see.
    if (name === 'ID' && 'Id' in value) return value.Id;
    if (this.#optional(name)) return absent;
    throw this.#error(pipeline, `map has no entry for key ${JSON.stringify(name)}`);
  }

  #error(pipeline: Pipeline, problem: string): TemplateError {
    return new TemplateError(
      `:${pipeline.line}:${pipeline.column}: executing "" at <${pipeline.text}>: ${problem}`,
    );
  }
}

function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  return typeof value === 'number' ? 'json.Number' : typeof value === 'boolean' ? 'bool' : 'string';
}
