/** The state as documents by key: how a key-value store keeps it. */
import { SwarmError } from '../../lib/errors.ts';
import { fileKinds, type TableName, type Tables } from '../../types/index.ts';
import { applyEntry } from './apply.ts';
import type { Put } from './change.ts';
import type { EncodedEntry } from './entry-codec.ts';
import type { ObjectEvent } from './event.ts';
import type { KeyedDocument } from './log.ts';
import { Resolver } from './resolve.ts';
import { encodeSnapshot } from './snapshot-codec.ts';
import { State } from './state.ts';

/** Services come before the tasks that share their specs. */
const tableNames = [
  'cluster',
  'node',
  'network',
  'secret',
  'config',
  'volume',
  'service',
  'task',
] as const satisfies TableName[];

export function* documentsOf(state: State): Iterable<KeyedDocument> {
  const cluster = state.cluster();
  if (cluster !== undefined) yield documentOf('cluster', cluster);
  for (const node of state.nodes()) yield documentOf('node', node);
  for (const network of state.networks()) yield documentOf('network', network);
  for (const kind of fileKinds) {
    for (const file of state.files(kind)) yield documentOf(kind, file);
  }
  for (const volume of state.volumes()) yield documentOf('volume', volume);
  for (const service of state.services()) yield documentOf('service', service);
  for (const task of state.tasks()) yield documentOf('task', task);
}

/** Throws SwarmError `internal` for a key of no table, or documents that contradict each other. */
export function snapshotOf(documents: Iterable<KeyedDocument>): Uint8Array {
  const tables = new Map<string, string[]>(tableNames.map((table) => [table, []]));
  for (const [key, document] of documents) {
    const rows = tables.get(key.split('/')[0] ?? '');
    if (rows === undefined) throw new SwarmError('internal', `"${key}" is of no known table`);
    rows.push(document);
  }
  const state = new State();
  for (const table of tableNames) {
    for (const document of tables.get(table) ?? []) putDocument(state, table, document);
  }
  return Buffer.concat([...encodeSnapshot(state)]);
}

/**
 * Applies the entries, looks at what they left, and takes them back. Nobody can see the state in
 * between, as all of it happens without a pause.
 */
export function previewDocuments(
  state: State,
  firstIndex: number,
  entries: readonly EncodedEntry[],
): ReadonlyMap<string, string | undefined> {
  const events: ObjectEvent[] = [];
  for (const [position, entry] of entries.entries()) {
    const outcome = applyEntry(state, firstIndex + position, entry);
    if ('events' in outcome) events.push(...outcome.events);
  }
  const left = new Map<string, string | undefined>();
  for (const { table, object } of events) {
    const present = state.get(table, object.id);
    left.set(
      `${table}/${object.id}`,
      present === undefined ? undefined : documentOf(table, present)[1],
    );
  }
  for (const event of events.toReversed()) {
    if (event.action === 'create') state.delete(event.table, event.object.id);
    else if (event.action === 'remove') state.put(event.table, event.object);
    else if (event.old !== undefined) state.put(event.table, event.old);
  }
  return left;
}

function documentOf(table: TableName, object: Tables[TableName]): KeyedDocument {
  return [`${table}/${object.id}`, JSON.stringify(object)];
}

function putDocument(state: State, table: TableName, document: string): void {
  const change = {
    op: 'put',
    table,
    object: JSON.parse(document) as Tables[TableName],
    base: 0,
  } as Put;
  const resolved = new Resolver(state).resolve(change);
  if (typeof resolved === 'string') throw new SwarmError('internal', resolved);
  if (resolved.op === 'put') state.put(resolved.table, resolved.object);
}
