/** Placement constraints: `node.labels.zone==east`, `node.role!=manager`. */
import { SwarmError } from '../../lib/errors.ts';
import { own } from '../../lib/own.ts';
import type { Node, Placement } from '../../types/index.ts';
import { inRange, parseAddress, parseRange, type AddressRange } from './address.ts';

export interface Constraint {
  readonly key: string;
  readonly equal: boolean;
  readonly value: string;
}

const operators = ['==', '!='] as const;
const keyPattern = /^[a-z_][a-z0-9\-_.]+$/i;
const valuePattern = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i;
const nodeLabel = 'node.labels.';
const engineLabel = 'engine.labels.';

/** Throws `invalid-argument`, in Docker's words, for an expression that is not a constraint. */
export function parseConstraint(expression: string): Constraint {
  const operator = operators.find((candidate) => expression.includes(candidate));
  if (operator === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `constraint expected one operator from ${operators.join(', ')}`,
      { details: { expression } },
    );
  }
  const at = expression.indexOf(operator);
  const key = expression.slice(0, at).trim();
  const value = expression.slice(at + operator.length).trim();
  if (!keyPattern.test(key)) throw new SwarmError('invalid-argument', `key '${key}' is invalid`);
  if (!valuePattern.test(value)) {
    throw new SwarmError('invalid-argument', `value '${value}' is invalid`);
  }
  return { key, equal: operator === '==', value };
}

/** Throws `invalid-argument` at the first expression that is none, or that no node can satisfy. */
export function checkConstraints(expressions: readonly string[]): void {
  for (const expression of expressions) {
    const why = whyNever(parseConstraint(expression));
    if (why !== undefined) {
      throw new SwarmError('invalid-argument', `constraint "${expression}": ${why}`);
    }
  }
}

const properties = ['id', 'hostname', 'role', 'ip', 'platform.os', 'platform.arch'];
const known = properties.map((name) => `node.${name}`);

/** Why no node satisfies it, whatever nodes there are or will be; undefined where one may. */
function whyNever(constraint: Constraint): string | undefined {
  const { key, equal, value } = constraint;
  const folded = key.toLowerCase();
  const isLabel = [nodeLabel, engineLabel].some((start) => isBelow(folded, start));
  if (!isLabel && !known.includes(folded)) {
    const all = `${known.join(', ')}, ${nodeLabel}<label> and ${engineLabel}<label>`;
    return `nodes have no ${key}; they have ${all}`;
  }
  if (folded === 'node.ip' && rangeOf(constraint) === undefined) {
    return `${value} is no IP address or subnet`;
  }
  if (folded === 'node.role' && equal && !['manager', 'worker'].includes(value.toLowerCase())) {
    return 'the role of a node is manager or worker';
  }
  return undefined;
}

function isBelow(key: string, start: string): boolean {
  return key.startsWith(start) && key.length > start.length;
}

/**
 * As parsed, for specs that have been validated long ago: an expression that is none
 * (any more) is satisfied by no node instead of stopping the planner. The result is remembered.
 */
export function constraintsOf(placement: Placement | undefined): readonly Constraint[] {
  const expressions = placement?.constraints;
  if (expressions === undefined || expressions.length === 0) return [];
  let parsed = parsedLists.get(expressions);
  if (parsed === undefined) {
    parsed = expressions.map((expression) => {
      try {
        return parseConstraint(expression);
      } catch {
        // As a key the expression could name a label, which nodes without it would satisfy.
        return { key: `unknown ${expression}`, equal: true, value: '' };
      }
    });
    parsedLists.set(expressions, parsed);
  }
  return parsed;
}

const parsedLists = new WeakMap<readonly string[], readonly Constraint[]>();

export function satisfies(node: Node, constraint: Constraint): boolean {
  const key = constraint.key.toLowerCase();
  if (key === 'node.ip') return addressSatisfies(node.status.addr, constraint);
  const actual = valueOf(node, constraint.key);
  if (actual === undefined) return false;
  const wanted = key === 'node.platform.arch' ? architectureOf(constraint.value) : constraint.value;
  return (actual.toLowerCase() === wanted.toLowerCase()) === constraint.equal;
}

export function satisfiesAll(node: Node, constraints: readonly Constraint[]): boolean {
  return constraints.every((constraint) => satisfies(node, constraint));
}

/**
 * The value of a label that a constraint or a preference names; '' where the node has none,
 * undefined where the key does not name a label at all.
 */
export function labelOf(node: Node, key: string): string | undefined {
  const folded = key.toLowerCase();
  if (isBelow(folded, nodeLabel)) {
    return own(node.spec.labels, key.slice(nodeLabel.length)) ?? '';
  }
  if (isBelow(folded, engineLabel)) {
    return own(node.description?.engine.labels ?? {}, key.slice(engineLabel.length)) ?? '';
  }
  return undefined;
}

/** Machines name their architecture as the kernel does, images as Go does: one name for each. */
export function architectureOf(name: string): string {
  const folded = name.toLowerCase();
  if (folded === 'x86_64') return 'amd64';
  if (folded === 'aarch64') return 'arm64';
  return folded;
}

/** What a constraint's key stands for on the node; undefined for a key that is none. */
export function valueOf(node: Node, key: string): string | undefined {
  switch (key.toLowerCase()) {
    case 'node.ip':
      return withoutPort(node.status.addr);
    case 'node.id':
      return node.id;
    case 'node.hostname':
      return node.description?.hostname ?? '';
    case 'node.role':
      return node.role;
    case 'node.platform.os':
      return node.description?.platform.os ?? '';
    case 'node.platform.arch':
      return architectureOf(node.description?.platform.architecture ?? '');
    default:
      return labelOf(node, key);
  }
}

function addressSatisfies(text: string, constraint: Constraint): boolean {
  const range = rangeOf(constraint);
  const address = parseAddress(withoutPort(text));
  // A value that is no address matches nothing, not even with "!=", so that a typing error shows.
  if (range === undefined) return false;
  return (address !== undefined && inRange(address, range)) === constraint.equal;
}

const ranges = new WeakMap<Constraint, { readonly range: AddressRange | undefined }>();

/** Parsed once for each constraint: it is compared with every node. */
function rangeOf(constraint: Constraint): AddressRange | undefined {
  const known = ranges.get(constraint);
  if (known !== undefined) return known.range;
  const range = parseRange(constraint.value);
  ranges.set(constraint, { range });
  return range;
}

function withoutPort(text: string): string {
  const bracketed = /^\[(.+)\](?::\d+)?$/.exec(text)?.[1];
  if (bracketed !== undefined) return bracketed;
  return /^[\d.]+:\d+$/.test(text) ? text.slice(0, text.indexOf(':')) : text;
}
