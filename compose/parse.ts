/** YAML as Go's yaml.v3 reads it, which Docker's tools use: anchors, merge keys, old octals. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node as YamlNode,
  type Pair,
} from 'yaml';
import type { Entry, Node, Position, Scalar, Tag } from './node.ts';
import type { Problems } from './problems.ts';

/** Anchors that hold anchors multiply: a small file must not become a large one. */
const maxNodes = 50_000;

/** The documents of a file, of which later ones change earlier ones. Empty ones are left out. */
export function parseYaml(text: string, file: string, problems: Problems): readonly Node[] {
  const lineCounter = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter, merge: true, logLevel: 'silent' });
  const documents = Array.isArray(parsed) ? parsed : [];
  return documents.flatMap((document) => {
    for (const error of document.errors) {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      const [message = ''] = error.message.split(/ at line \d+|\n/, 1);
      problems.addBroken({ file, line, column: col }, `this is not YAML: ${message}`);
    }
    if (document.errors.length > 0 || document.contents === null) return [];
    return [new Converter(document, { file, lineCounter, problems }).convert(document.contents)];
  });
}

interface Source {
  readonly file: string;
  readonly lineCounter: LineCounter;
  readonly problems: Problems;
}

class Converter {
  readonly #document: Document;
  readonly #source: Source;
  readonly #open = new Set<YamlNode>();
  /** Finding what an alias means takes a walk through the document. */
  readonly #targets = new Map<YamlNode, YamlNode | undefined>();
  #count = 0;

  constructor(document: Document, source: Source) {
    this.#document = document;
    this.#source = source;
  }

  convert(node: YamlNode): Node {
    const at = this.#place(node);
    if (++this.#count > maxNodes) {
      if (this.#count === maxNodes + 1) {
        this.#source.problems.addBroken(
          at,
          `the file has more than ${maxNodes} values with its aliases`,
        );
      }
      return { kind: 'scalar', value: null, at };
    }
    if (isAlias(node)) {
      if (!this.#targets.has(node)) this.#targets.set(node, node.resolve(this.#document));
      return this.#alias(node.source, this.#targets.get(node), at);
    }
    if (this.#open.has(node)) {
      this.#source.problems.addBroken(at, 'an anchor holds itself');
      return { kind: 'scalar', value: null, at };
    }
    this.#open.add(node);
    const converted = this.#inner(node, at);
    this.#open.delete(node);
    return converted;
  }

  #inner(node: YamlNode, at: Position): Node {
    const tag = this.#tagOf(node, at);
    const tagged = tag === undefined ? {} : { tag };
    if (isScalar(node)) return { kind: 'scalar', value: valueOf(node), at, ...tagged };
    if (isSeq(node)) {
      const items = node.items.map((item) => this.convert(item as YamlNode));
      return { kind: 'sequence', items, at, ...tagged };
    }
    if (!isMap(node)) return { kind: 'scalar', value: null, at };
    return { kind: 'mapping', entries: this.#entries(node.items), at, ...tagged };
  }

  #entries(pairs: readonly Pair[]): Map<string, Entry> {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    for (const pair of pairs) {
      const keyNode = pair.key as YamlNode;
      const keyAt = this.#place(keyNode);
      const key = isScalar(keyNode) ? String(keyNode.source ?? keyNode.value) : undefined;
      const value = pair.value === null ? undefined : this.convert(pair.value as YamlNode);
      if (key === undefined) {
        this.#source.problems.addBroken(keyAt, 'a key must be a plain text');
      } else if (key === '<<') {
        for (const [name, entry] of this.#mergeKey(value, keyAt)) {
          if (!merged.has(name)) merged.set(name, entry);
        }
      } else {
        own.set(key, { keyAt, value: value ?? { kind: 'scalar', value: null, at: keyAt } });
      }
    }
    return new Map([...merged, ...own]);
  }

  /** `<<: *a` or `<<: [*a, *b]`, of which earlier ones win. */
  #mergeKey(value: Node | undefined, at: Position): readonly [string, Entry][] {
    if (value?.kind === 'mapping') return [...value.entries];
    if (value?.kind === 'sequence' && value.items.every(({ kind }) => kind === 'mapping')) {
      return value.items.flatMap((item) => (item.kind === 'mapping' ? [...item.entries] : []));
    }
    this.#source.problems.addBroken(at, '<< takes a mapping or a list of mappings');
    return [];
  }

  #alias(name: string, target: YamlNode | undefined, at: Position): Node {
    if (target !== undefined) return this.convert(target);
    this.#source.problems.addBroken(at, `there is no anchor &${name} before this`);
    return { kind: 'scalar', value: null, at };
  }

  #tagOf(node: YamlNode, at: Position): Tag | undefined {
    const tag = 'tag' in node ? node.tag : undefined;
    if (tag === '!reset') return 'reset';
    if (tag === '!override') return 'override';
    if (tag?.startsWith('!') === true && tag !== '!') {
      this.#source.problems.addBroken(
        at,
        `the tag ${tag} is not known: only !reset and !override are`,
      );
    }
    return undefined;
  }

  #place(node: YamlNode | null): Position {
    const { line, col } = this.#source.lineCounter.linePos(node?.range?.[0] ?? 0);
    return { file: this.#source.file, line, column: col };
  }
}

function valueOf(node: { value: unknown; source?: string; type?: string }): Scalar['value'] {
  const { value, source = '' } = node;
  if (typeof value === 'number') {
    // Go's YAML still reads 0644 as an octal number, as the files' modes are written.
    if (/^[-+]?0[0-7]+$/.test(source)) return parseInt(source, 8);
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? source : value;
  }
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  return value === null || value === undefined ? null : source;
}
