/** Entries as bytes: JSON, without the task specs that every manager can look up. */
import { SwarmError } from '../../lib/errors.ts';
import type { Task, TaskSpec } from '../../types/index.ts';
import type { Change, Entry, Put } from './change.ts';
import { type SpecPool, specsOf } from './spec-pool.ts';

export type TaskWithoutSpec = Omit<Task, 'spec'>;

export type EncodedChange =
  | Exclude<Change, { table: 'task'; op: 'put' }>
  | {
      readonly op: 'put';
      readonly table: 'task';
      readonly object: Task | TaskWithoutSpec;
      readonly base: number;
    };

export interface EncodedEntry {
  readonly atMs: number;
  readonly changes: readonly EncodedChange[];
}

const formatVersion = 1;

export function encodeEntry(entry: Entry, pool: SpecPool): Uint8Array {
  const brought = new Map<string, TaskSpec>();
  const changes = entry.changes.map((change): EncodedChange => {
    if (change.op !== 'put') return change;
    if (change.table === 'task') return encodeTask(change, brought, pool);
    if (change.table === 'service') {
      for (const [version, spec] of specsOf(change.object)) {
        brought.set(`${change.object.id}/${version}`, spec);
      }
    }
    return change;
  });
  return Buffer.from(JSON.stringify({ v: formatVersion, atMs: entry.atMs, changes }));
}

/** Throws `internal` for an entry that another version of the format wrote. */
export function decodeEntry(bytes: Uint8Array): EncodedEntry {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const entry = JSON.parse(text) as EncodedEntry & { readonly v: number };
  if (entry.v !== formatVersion) {
    throw new SwarmError(
      'internal',
      `the log holds an entry of format ${entry.v}; this version reads format ` +
        `${formatVersion}: start the version of ts-swarm again that wrote it`,
    );
  }
  return entry;
}

function encodeTask(
  change: Extract<Put, { table: 'task' }>,
  brought: Map<string, TaskSpec>,
  pool: SpecPool,
): EncodedChange {
  const { spec, ...rest } = change.object;
  const { serviceId, specVersion } = rest;
  if (serviceId === '') return change;
  const key = `${serviceId}/${specVersion}`;
  const known = brought.get(key) ?? pool.get(serviceId, specVersion);
  if (known === spec) return { ...change, object: rest };
  if (known === undefined) brought.set(key, spec);
  return change;
}
