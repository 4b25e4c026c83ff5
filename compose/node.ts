/** A YAML document in which every value knows the file, line and column that it came from. */

export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `!reset` takes away what earlier files said, `!override` replaces it instead of merging. */
export type Tag = 'reset' | 'override';

export interface Scalar {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  readonly at: Position;
  readonly tag?: Tag;
}

interface Sequence {
  readonly kind: 'sequence';
  readonly items: readonly Node[];
  readonly at: Position;
  readonly tag?: Tag;
}

export interface Mapping {
  readonly kind: 'mapping';
  readonly entries: ReadonlyMap<string, Entry>;
  readonly at: Position;
  readonly tag?: Tag;
}

export interface Entry {
  readonly keyAt: Position;
  readonly value: Node;
}

export type Node = Scalar | Sequence | Mapping;

export function scalar(value: Scalar['value'], at: Position): Scalar {
  return { kind: 'scalar', value, at };
}

export function sequence(items: readonly Node[], like: Pick<Node, 'at' | 'tag'>): Sequence {
  return { kind: 'sequence', items, ...placeOf(like) };
}

export function mapping(
  entries: ReadonlyMap<string, Entry>,
  like: Pick<Node, 'at' | 'tag'>,
): Mapping {
  return { kind: 'mapping', entries, ...placeOf(like) };
}

/** A mapping of plain values that all come from one place. */
export function mappingOf(
  values: Readonly<Record<string, Scalar['value'] | Node | undefined>>,
  at: Position,
): Mapping {
  const entries = Object.entries(values).flatMap(([key, value]): [string, Entry][] => {
    if (value === undefined) return [];
    const isNode = typeof value === 'object' && value !== null;
    return [[key, { keyAt: at, value: isNode ? value : scalar(value, at) }]];
  });
  return mapping(new Map(entries), { at });
}

/** The value of a key, where the node is a mapping that has it. */
export function child(node: Node | undefined, key: string): Node | undefined {
  return node?.kind === 'mapping' ? node.entries.get(key)?.value : undefined;
}

/** The mapping with some of its values replaced; `undefined` takes the key away. */
export function withChildren(
  node: Mapping,
  change: (value: Node, key: string) => Node | undefined,
): Mapping {
  const entries = new Map<string, Entry>();
  for (const [key, entry] of node.entries) {
    const value = change(entry.value, key);
    if (value !== undefined) entries.set(key, { keyAt: entry.keyAt, value });
  }
  return mapping(entries, node);
}

export function isNull(node: Node | undefined): boolean {
  return node === undefined || (node.kind === 'scalar' && node.value === null);
}

/** The document as plain values, for printing. */
export function toPlain(node: Node): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'sequence') return node.items.map(toPlain);
  return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, toPlain(value)]));
}

export function placeText({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function placeOf({ at, tag }: Pick<Node, 'at' | 'tag'>): { at: Position; tag?: Tag } {
  return tag === undefined ? { at } : { at, tag };
}
