/** The house's rules that a compiler does not check: who may import whom, purity, and size. */
import { strict as assert } from 'node:assert';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const parts = [
  'api',
  'bench',
  'cli',
  'compose',
  'daemon',
  'lib',
  'manager',
  'raft',
  'scripts',
  'test',
  'types',
  'worker',
];

/**
 * A part (or folder) and what it may import besides itself. `lib`, `types` and `gen` go for all.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  lib: ['gen'],
  types: [],
  raft: [],
  worker: ['lib', 'types', 'gen'],
  manager: ['lib', 'types', 'gen', 'raft'],
  api: ['lib', 'types', 'manager', 'worker'],
  compose: ['lib', 'types'],
  cli: ['lib', 'types', 'compose'],
  daemon: ['lib', 'types', 'gen', 'raft', 'manager', 'worker', 'api'],
};

/** Folders whose code is synchronous and deterministic: clock and randomness are passed in. */
const pureFolders = [
  'lib/go-template',
  'types',
  'compose',
  'raft/core',
  'manager/orchestrator',
  'manager/allocator',
  'manager/explain',
  'manager/scheduler',
  'manager/volume',
  'worker/task',
  'api/convert',
];
const bannedInPure = [
  { pattern: /\bDate\b/, name: 'Date' },
  { pattern: /\bMath\.random\b/, name: 'Math.random' },
  { pattern: /\bset(Timeout|Interval|Immediate)\b/, name: 'a timer' },
  { pattern: /\bperformance\./, name: 'performance' },
  { pattern: /\bprocess\./, name: 'process' },
  { pattern: /\basync\b|\bawait\b|\bPromise\b/, name: 'async code' },
  { pattern: /\.toLocale|\bIntl\b|localeCompare/, name: 'the locale' },
  { pattern: /from 'node:(?!assert)/, name: 'a node: module' },
];

/** Parts made of rooms, and those that are a room themselves. */
const buildings = ['lib', 'manager', 'raft', 'worker'];
const roomParts = ['api', 'cli', 'compose', 'raft', 'types'];

const maxLines = 500;
const maxColumns = 100;

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources = parts.flatMap((part) => [...walk(join(root, part))]);

describe('tidy', () => {
  it('finds the sources', () => {
    assert.ok(sources.length > 20, `only ${sources.length} files found`);
  });

  it('keeps to the directions of imports', () => {
    const wrong = sources
      .filter((source) => !source.path.endsWith('.test.ts'))
      .flatMap((source) => {
        const part = source.path.split('/')[0] ?? '';
        const allowed = mayImport[part];
        if (allowed === undefined) return [];
        return source.imports
          .filter((target) => !target.startsWith('..'))
          .filter((target) => {
            const targetPart = target.split('/')[0] ?? '';
            return targetPart !== part && !allowed.includes(targetPart);
          })
          .map((target) => `${source.path} imports ${target}`);
      });
    assert.deepEqual(wrong, []);
  });

  it('takes no WebSocket along with node:http', () => {
    const ours = (path: string) =>
      ['api', 'cli', 'daemon', 'lib', 'manager', 'worker'].includes(path.split('/')[0] ?? '') &&
      !/\.test\.ts$|\btesting\b/.test(path);
    const wrong = sources
      .filter(({ path, text }) => ours(path) && /^import (?!type )[^;]*'node:http';/m.test(text))
      .map(({ path }) => `${path} imports node:http: take http of lib/node-http.ts`);
    assert.deepEqual(wrong, []);
  });

  it('gives every room an index that says what it is', () => {
    const rooms = sources
      .map(({ path }) => path.split('/'))
      .filter(([part = '', room, file]) => {
        return buildings.includes(part) && room !== 'testing' && file !== undefined;
      })
      .map(([part, room]) => `${part}/${room}`);
    const wrong = [...new Set([...roomParts, ...rooms])].filter((room) => {
      const index = sources.find(({ path }) => path === `${room}/index.ts`);
      return index?.text.startsWith('/**') !== true;
    });
    assert.deepEqual(wrong, []);
  });

  it('keeps pure folders pure', () => {
    const wrong = sources
      .filter((source) => pureFolders.some((folder) => source.path.startsWith(`${folder}/`)))
      .filter((source) => !source.path.endsWith('.test.ts'))
      .flatMap((source) => {
        const code = withoutComments(source.text);
        return bannedInPure
          .filter(({ pattern }) => pattern.test(code))
          .map(({ name }) => `${source.path} uses ${name}`);
      });
    assert.deepEqual(wrong, []);
  });

  it('lets pure folders import only what is pure', () => {
    const pureLib = [
      'assert',
      'cron',
      'errors',
      'local-path',
      'own',
      'random',
      'signals',
      'template',
      'units',
    ].map((name) => `lib/${name}.ts`);
    const pureFiles = [
      'manager/store/change.ts',
      'manager/store/view.ts',
      'manager/reconcile/plan.ts',
      'manager/control/api.ts',
      'worker/runtime/logs/attributes.ts',
      'worker/runtime/logs/remote/config.ts',
    ];
    const wrong = sources
      .filter((source) => pureFolders.some((folder) => source.path.startsWith(`${folder}/`)))
      .filter((source) => !source.path.endsWith('.test.ts'))
      .flatMap((source) =>
        source.imports
          .filter(
            (target) =>
              !pureFolders.some((folder) => target.startsWith(`${folder}/`)) &&
              !pureLib.includes(target) &&
              !pureFiles.includes(target) &&
              !typeOnly(source.text, target),
          )
          .map((target) => `${source.path} imports ${target}`),
      );
    assert.deepEqual(wrong, []);
  });

  it(`keeps files within ${maxLines} lines and lines within ${maxColumns} columns`, () => {
    const wrong = sources.flatMap((source) => {
      const lines = source.text.split('\n');
      const wide = lines
        .map((line, index) => ({ line, number: index + 1 }))
        .filter(({ line }) => line.length > maxColumns && !/https?:|['"`]/.test(line))
        .map(({ number }) => `${source.path}:${number} is too wide`);
      return lines.length > maxLines ? [...wide, `${source.path} is too long`] : wide;
    });
    assert.deepEqual(wrong, []);
  });

  it('exports nothing that nobody imports', () => {
    const used = usedExports();
    const wrong = sources
      // What is loaded by its path.
      .filter(({ path }) => !/^bench\/[^/]+\.ts$|^daemon\/main\.ts$/.test(path))
      .filter(({ path }) => used.get(path)?.has('*') !== true)
      .flatMap(({ path, text }) => {
        const names = [...text.matchAll(exported)].map(([, name = '']) => name);
        return names
          .filter((name) => used.get(path)?.has(name) !== true)
          .map((name) => `${path} exports ${name}`);
      });
    assert.deepEqual(wrong, []);
  });

  it('leaves nothing marked as to be done later', () => {
    const marks = /\b(?:TODO|FIXME|XXX)\b/;
    const wrong = sources
      .filter((source) => source.path !== 'test/tidy.test.ts' && marks.test(source.text))
      .map((source) => source.path);
    assert.deepEqual(wrong, []);
  });
});

const exported =
  /^export (?:abstract |async )*(?:function\*?|class|interface|type|const|let) (\w+)/gm;

/** By file, the names that others import of it, or pass on; "*" for all. */
function usedExports(): ReadonlyMap<string, ReadonlySet<string>> {
  const used = new Map<string, Set<string>>();
  const statements =
    /(?:import|export)\s+(?:type\s+)?(\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s*'(\.[^']+)'/g;
  const loaded = /(?:import\(|new URL\()\s*()'(\.[^']+\.ts)'/g;
  for (const { path, text } of sources) {
    const found = [...text.matchAll(statements), ...text.matchAll(loaded)];
    for (const [, what = '', target = ''] of found) {
      const file = relative(root, resolve(root, dirname(path), target));
      const names = used.get(file) ?? new Set();
      used.set(file, names);
      if (!what.startsWith('{')) names.add('*');
      for (const one of what.replace(/[{}]/g, '').split(',')) {
        names.add(
          one
            .trim()
            .replace(/^type\s+/, '')
            .replace(/\s+as\s.*$/s, ''),
        );
      }
    }
  }
  return used;
}

function* walk(folder: string): Iterable<Source> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !['node_modules', 'dist'].includes(entry.name)) yield* walk(path);
    else if (entry.name.endsWith('.ts')) yield read(path);
  }
}

function read(path: string): Source {
  const text = readFileSync(path, 'utf8');
  const imports = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, target]) =>
    relative(root, resolve(dirname(path), target ?? '')),
  );
  return { path: relative(root, path), text, imports };
}

/** Every import of `target` in the text is erased by the compiler. */
function typeOnly(text: string, target: string): boolean {
  const name = target.split('/').at(-1) ?? '';
  const statements = [...text.matchAll(/(?:^|\n)(import|export) (type )?[^;]*?from '([^']+)'/g)];
  return statements
    .filter(([, , , from]) => from?.endsWith(`/${name}`))
    .every(([, , type]) => type !== undefined);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:])\/\/.*$/gm, '$1');
}
