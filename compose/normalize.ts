/**
 * One form for each thing that Compose lets users write in several ways, so that files can be
 * merged value by value; and absolute paths, as each file's are relative to a folder of its own.
 */
import { own } from '../lib/own.ts';
import {
  mapping,
  mappingOf,
  scalar,
  sequence,
  withChildren,
  type Entry,
  type Mapping,
  type Node,
} from './node.ts';
import type { Problems } from './problems.ts';
import { resolvePath } from './paths.ts';
import { longPorts, longVolume } from './short-forms.ts';

interface NormalizeOptions {
  /** What relative paths are relative to. */
  readonly baseFolder: string;
  readonly home: string | undefined;
  readonly problems: Problems;
  /** What holds a variable stays in the form that it has. */
  readonly keepsVariables: boolean;
}

type Change = (node: Node, options: NormalizeOptions) => Node;
type Changes = Readonly<Record<string, Change>>;

const pairs: Change = (node) => pairsOf(node);
const list: Change = (node) => (isText(node) ? sequence([{ ...node }], node) : node);
const path: Change = (node, options) =>
  isText(node) && node.value !== '' && !isKept(node, options)
    ? { ...node, value: resolvePath(options.baseFolder, String(node.value), options.home) }
    : node;

/** What `devices`, `ports` and the like are made of stays as it is: only these change. */
const build: Changes = {
  context: (node, options) => (isRemote(node) ? node : path(node, options)),
  args: pairs,
  labels: pairs,
  additional_contexts: pairs,
  extra_hosts: hostList,
  cache_from: list,
  cache_to: list,
};

const service: Changes = {
  annotations: pairs,
  build: (node, options) =>
    changed(isText(node) ? asMapping(node, 'context') : node, build, options),
  configs: (node) => namedList(node),
  credential_spec: (node, options) => changed(node, { file: path }, options),
  depends_on: (node) =>
    keyed(node, (item) => mappingOf({ condition: 'service_started', required: true }, item.at)),
  deploy: (node, options) => changed(node, { labels: pairs }, options),
  dns: list,
  dns_search: list,
  env_file: (node, options) =>
    items(list(node, options), (item) =>
      isText(item)
        ? [mappingOf({ path: path(item, options), required: true }, item.at)]
        : [changed(item, { path }, options)],
    ),
  environment: pairs,
  extends: (node, options) =>
    changed(isText(node) ? asMapping(node, 'service') : node, { file: path }, options),
  extra_hosts: hostList,
  label_file: (node, options) => items(list(node, options), (item) => [path(item, options)]),
  labels: pairs,
  networks: (node) => keyed(node, (item) => scalar(null, item.at)),
  ports: (node, options) =>
    items(node, (item) =>
      item.kind === 'scalar' && !isKept(item, options) ? longPorts(item, options.problems) : [item],
    ),
  secrets: (node) => namedList(node),
  sysctls: pairs,
  tmpfs: list,
  volumes: (node, options) => items(node, (item) => [volume(item, options)]),
};

const labelled: Changes = { labels: pairs };
const fromFile: Changes = { labels: pairs, file: path };
const top: Readonly<Record<string, Changes>> = {
  services: service,
  networks: labelled,
  volumes: labelled,
  secrets: fromFile,
  configs: fromFile,
};

export function normalizeFile(root: Mapping, options: NormalizeOptions): Mapping {
  return withChildren(root, (section, name) => {
    if (name === 'include') {
      return items(section, (item) => [isText(item) ? asMapping(item, 'path') : item]);
    }
    const changes = own(top, name);
    if (changes === undefined || section.kind !== 'mapping') return section;
    return withChildren(section, (item) => changed(item, changes, options));
  });
}

function changed(node: Node, changes: Changes, options: NormalizeOptions): Node {
  if (node.kind !== 'mapping') return node;
  return withChildren(node, (value, key) =>
    value.tag === 'reset' ? value : (own(changes, key)?.(value, options) ?? value),
  );
}

/** `["A=1", "B"]` as `{A: "1", B: null}`. */
function pairsOf(node: Node): Node {
  if (node.kind !== 'sequence') return node;
  const entries = new Map<string, Entry>();
  for (const item of node.items) {
    if (item.kind !== 'scalar') return node;
    const text = String(item.value);
    const at = text.indexOf('=');
    const value = at < 0 ? scalar(null, item.at) : scalar(text.slice(at + 1), item.at);
    entries.set(at < 0 ? text : text.slice(0, at), { keyAt: item.at, value });
  }
  return mapping(entries, node);
}

/** `{name: address}` or `["name:address", "name=address"]` as `["name=address"]`. */
function hostList(node: Node): Node {
  if (node.kind === 'sequence') {
    return items(node, (item) => {
      if (item.kind !== 'scalar') return [item];
      const text = String(item.value);
      return [{ ...item, value: text.includes('=') ? text : text.replace(':', '=') }];
    });
  }
  if (node.kind !== 'mapping') return node;
  const hosts = [...node.entries].flatMap(([name, { value }]) => {
    const addresses = value.kind === 'sequence' ? value.items : [value];
    return addresses.map((address) =>
      address.kind === 'scalar' ? { ...address, value: `${name}=${address.value}` } : address,
    );
  });
  return sequence(hosts, node);
}

/** A list of names as a mapping. */
function keyed(node: Node, value: (item: Node) => Node): Node {
  if (node.kind !== 'sequence') return node;
  const entries = node.items.flatMap((item): [string, Entry][] =>
    item.kind === 'scalar' ? [[String(item.value), { keyAt: item.at, value: value(item) }]] : [],
  );
  return entries.length === node.items.length ? mapping(new Map(entries), node) : node;
}

function namedList(node: Node): Node {
  return items(node, (item) => [isText(item) ? asMapping(item, 'source') : item]);
}

function volume(item: Node, options: NormalizeOptions): Node {
  const { problems, baseFolder, home } = options;
  const resolve = (text: string) => resolvePath(baseFolder, text, home);
  if (isKept(item, options)) return item;
  if (item.kind === 'scalar') return longVolume(item, { problems, resolve });
  if (item.kind !== 'mapping') return item;
  const type = item.entries.get('type')?.value;
  const isBind = type?.kind === 'scalar' && type.value === 'bind';
  return isBind ? changed(item, { source: path }, options) : item;
}

function items(node: Node, change: (item: Node) => readonly Node[]): Node {
  return node.kind === 'sequence' ? sequence(node.items.flatMap(change), node) : node;
}

function asMapping(node: Node, key: string): Mapping {
  return mapping(new Map([[key, { keyAt: node.at, value: untagged(node) }]]), node);
}

function untagged(node: Node): Node {
  const { tag: _, ...rest } = node;
  return rest;
}

function isText(node: Node): node is Extract<Node, { kind: 'scalar' }> {
  return node.kind === 'scalar' && node.value !== null;
}

function isKept(node: Node, { keepsVariables }: NormalizeOptions): boolean {
  return keepsVariables && node.kind === 'scalar' && String(node.value).includes('$');
}

/** A build's context may be a repository, which has no place in the file system. */
function isRemote(node: Node): boolean {
  return (
    isText(node) && /^(https?:\/\/|git@|git:\/\/|ssh:\/\/|github\.com\/)/.test(String(node.value))
  );
}
