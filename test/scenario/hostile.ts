/**
 * Documents that are JSON, and of the right shape, and otherwise anything: what people, scripts and
 * broken clients send. They are made from the declarations by which the API reads them, so that a
 * field which is added there is tried here.
 */
import * as fc from 'fast-check';
import {
  autoscaleLabel,
  base64,
  boolean,
  CodecError,
  cronLabels,
  dependsLabel,
  devicesLabel,
  durationMs,
  float,
  followLabel,
  integer,
  privilegedLabel,
  rebalanceLabel,
  string,
  unsigned,
  type Codec,
} from '../../types/index.ts';

/** More tasks than these only take longer. */
const counts: ReadonlySet<string> = new Set(['Replicas', 'MaxConcurrent', 'TotalCompletions']);
const countMax = 6;

const texts = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    'NaN',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'node.labels.__proto__==x',
    'node.labels.constructor!=x',
    'engine.labels.toString == 1',
    'node.ip==10.0.0.0/8',
    'node.ip!=::/0',
    'node.id==a',
    'node.platform.arch==x86_64',
    'node.labels.zone',
    'engine.labels.constructor',
    '{{.Task.Slot}}',
    '{{.Node.Hostname}}-{{.Service.Labels.constructor}}',
    '{{',
    '/data',
    '/../../etc',
    'back',
    'host',
    'ingress',
    'group:fast',
    'json-file',
    'local',
    '1',
    '\u0000',
    '\ud800',
    '\u202e',
    'zażółć',
    '💥',
    'x'.repeat(5_000),
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
);

const numbers = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, 3, 80, 65_535, 65_536, 1e6, 1e9, 2 ** 31, 2 ** 32, 4 * 2 ** 20),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.integer(),
);

/** Settings that are in labels, some of them good. */
const labels = fc.dictionary(
  fc.oneof(
    fc.constantFrom(autoscaleLabel, dependsLabel, devicesLabel, followLabel, privilegedLabel),
    fc.constantFrom(...Object.values(cronLabels), rebalanceLabel),
    texts,
  ),
  fc.oneof(
    fc.constantFrom('min=1,max=3,cpu=60%', 'min=0,max=9999,connections=0.000000001', 'true'),
    fc.constantFrom('* * * * *', '@hourly', '0 0 31 2 *', 'api=healthy', 'web=completed', 'allow'),
    fc.constantFrom('require', 'prefer', 'ignore', 'on-join', 'replace', 'skip', '/dev/fuse:rwm'),
    texts,
  ),
  { maxKeys: 2 },
);

const leaves = new Map<Codec<unknown>, fc.Arbitrary<unknown>>([
  [string, texts],
  [boolean, fc.boolean()],
  [integer, numbers],
  [unsigned, numbers.map((value) => Math.abs(value))],
  [float, fc.oneof(numbers, fc.double(), fc.constantFrom(0.5, 1, 1e-300))],
  [durationMs, numbers],
  [base64, fc.base64String({ maxLength: 12 })],
]);

/** A document that `codec` reads, or nearly. A struct has a few of its fields. */
export function documentOf(codec: Codec<unknown>, name = ''): fc.Arbitrary<unknown> {
  if (counts.has(name)) return fc.nat(countMax);
  if (name === 'Labels') return labels;
  if (codec.fields !== undefined) return structOf(codec.fields);
  if (codec.item !== undefined) {
    return isList(codec)
      ? listOf(documentOf(codec.item))
      : fc.dictionary(texts, documentOf(codec.item), { maxKeys: 2 });
  }
  return leaves.get(codec) ?? wordsOf(codec);
}

function structOf(fields: NonNullable<Codec<unknown>['fields']>): fc.Arbitrary<unknown> {
  if (fields.length === 0) return fc.constant({});
  const some = { minLength: 1, maxLength: Math.min(2, fields.length) };
  return fc
    .subarray([...fields], some)
    .chain((chosen) =>
      fc.record(
        Object.fromEntries(chosen.map(({ json, codec }) => [json, documentOf(codec, json)])),
      ),
    );
}

function isList(codec: Codec<unknown>): boolean {
  try {
    codec.decode([], '');
    return true;
  } catch (error) {
    if (error instanceof CodecError) return false;
    throw error;
  }
}

/** Also very long ones, of the same thing again and again. */
function listOf(item: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.array(item, { maxLength: 3 }) },
    { weight: 1, arbitrary: item.map((one) => Array<unknown>(3_000).fill(one)) },
  );
}

/** What a field takes that takes a few words only is in the sentence about any other. */
function wordsOf(codec: Codec<unknown>): fc.Arbitrary<unknown> {
  try {
    codec.decode('\u0000', '');
  } catch (error) {
    const [, words] = /is not one of (.+)$/.exec((error as Error).message) ?? [];
    if (words !== undefined) return fc.constantFrom(...words.split(', '));
  }
  return fc.jsonValue({ maxDepth: 2 });
}

/** What a node may say instead of what it should. */
const anything = fc.oneof(
  texts,
  numbers,
  fc.constantFrom(null, true, [], {}, [null], [[]], [{}], 1e308, -0.5, { named: {} }),
  fc.constant(JSON.parse('{"__proto__":{"kind":1}}') as unknown),
);

/** The document with something else in one place. */
export function mutated(document: unknown): fc.Arbitrary<unknown> {
  const places = [...placesOf(document)];
  return fc
    .tuple(fc.constantFrom(...places), anything)
    .map(([place, value]) => withValue(document, place, value));
}

function* placesOf(document: unknown, path: readonly string[] = []): Iterable<readonly string[]> {
  if (path.length > 0) yield path;
  if (typeof document !== 'object' || document === null) return;
  for (const [key, value] of Object.entries(document)) yield* placesOf(value, [...path, key]);
}

function withValue(document: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  const old = (document as Record<string, unknown>)[key];
  if (Array.isArray(document)) return document.with(Number(key), withValue(old, rest, value));
  return { ...(document as object), [key]: withValue(old, rest, value) };
}

/** `over` upon `under`, field by field. */
export function merged(under: unknown, over: unknown): unknown {
  if (!isObject(under) || !isObject(over)) return over;
  const result = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) result.set(key, merged(result.get(key), value));
  return Object.fromEntries(result);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
