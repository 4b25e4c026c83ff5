/** What a later file says of a thing that an earlier one has: Compose's rules, path by path. */
import { parseDevice } from '../types/index.ts';
import { child, mapping, sequence, type Entry, type Mapping, type Node } from './node.ts';

/** Lists of which a later file's is taken whole. */
const replaced = ['services.*.command', 'services.*.entrypoint', 'services.*.healthcheck.test'];

/** Lists of things that have a name: a later one of the same name takes the place of the first. */
const named: Readonly<Record<string, (item: Node) => string>> = {
  'services.*.ports': (item) =>
    ['host_ip', 'target', 'published', 'protocol'].map((key) => textAt(item, key)).join('|'),
  'services.*.volumes': (item) => textAt(item, 'target'),
  'services.*.devices': (item) =>
    item.kind === 'scalar'
      ? (parseDevice(String(item.value))?.pathInContainer ?? String(item.value))
      : textAt(item, 'target'),
  'services.*.secrets': (item) => textAt(item, 'target') || textAt(item, 'source'),
  'services.*.configs': (item) => textAt(item, 'target') || textAt(item, 'source'),
  'services.*.env_file': (item) => textAt(item, 'path'),
  'networks.*.ipam.config': (item) => textAt(item, 'subnet'),
};

/** Both are normalized. The result keeps the order of `base`, then what is new. */
export function merge(base: Node, over: Node, path = ''): Node {
  if (over.tag === 'override') return untagged(over);
  if (over.kind === 'mapping' && base.kind === 'mapping') return mergeMappings(base, over, path);
  if (over.kind === 'sequence' && base.kind === 'sequence') {
    if (replaced.includes(path)) return over;
    return sequence(uniqueItems([...base.items, ...over.items], path), base);
  }
  const saysNothing = over.kind === 'scalar' && over.value === null;
  return saysNothing && base.kind !== 'scalar' ? base : over;
}

function mergeMappings(base: Mapping, over: Mapping, path: string): Mapping {
  if (path === 'services.*.logging') {
    const [was, is] = [textAt(base, 'driver'), textAt(over, 'driver')];
    if (was !== is && was !== '' && is !== '') return over;
  }
  const entries = new Map<string, Entry>(base.entries);
  for (const [key, { keyAt, value }] of over.entries) {
    const before = base.entries.get(key);
    if (value.tag === 'reset') entries.delete(key);
    else if (before === undefined) entries.set(key, { keyAt, value });
    else entries.set(key, { keyAt, value: merge(before.value, value, below(path, key)) });
  }
  return mapping(entries, base);
}

/** Takes away what is marked `!reset` and the marks of `!override`, once all files are merged. */
export function withoutTags(node: Node): Node {
  if (node.kind === 'sequence') return sequence(node.items.map(withoutTags), { at: node.at });
  if (node.kind === 'scalar') return untagged(node);
  const kept = [...node.entries].filter(([, { value }]) => value.tag !== 'reset');
  return mapping(
    new Map(kept.map(([key, { keyAt, value }]) => [key, { keyAt, value: withoutTags(value) }])),
    { at: node.at },
  );
}

/** Names that users choose are stars in the paths above. */
function below(path: string, key: string): string {
  if (path === '') return key;
  const isName = /^(services|networks|volumes|secrets|configs)$/.test(path);
  return `${path}.${isName ? '*' : key}`;
}

function uniqueItems(items: readonly Node[], path: string): Node[] {
  const nameOf = named[path];
  const found = new Map<string, Node>();
  items.forEach((item, index) => {
    const key = nameOf?.(item) ?? (item.kind === 'scalar' ? `=${item.value}` : `#${index}`);
    found.set(key, item);
  });
  return [...found.values()];
}

function textAt(node: Node, key: string): string {
  const value = child(node, key);
  return value?.kind === 'scalar' && value.value !== null ? String(value.value) : '';
}

function untagged(node: Node): Node {
  const { tag: _, ...rest } = node;
  return rest;
}
