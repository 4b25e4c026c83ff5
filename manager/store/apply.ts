/**
 * What an entry does to the tables. Replicated code: the same entry on the same state does the same
 * on every manager, so nothing here may look at a clock, at randomness, or at who asks.
 */
import { isDeepStrictEqual } from 'node:util';
import { unreachable } from '../../lib/assert.ts';
import { compareStates, type Node, type Task } from '../../types/index.ts';
import type { TableName, Tables, TaskStatus } from '../../types/index.ts';
import type { Change, Delete, NodeStatusChange, Put } from './change.ts';
import { clashOf } from './clashes.ts';
import type { EncodedEntry } from './entry-codec.ts';
import type { ObjectEvent } from './event.ts';
import { Resolver } from './resolve.ts';
import type { State } from './state.ts';

type Outcome = { readonly events: readonly ObjectEvent[] } | { readonly conflict: string };

/** Applies all of the entry, or, on a conflict, nothing of it. */
export function applyEntry(state: State, index: number, entry: EncodedEntry): Outcome {
  const resolver = new Resolver(state);
  const changes: Change[] = [];
  for (const encoded of entry.changes) {
    const change = resolver.resolve(encoded);
    if (typeof change === 'string') return { conflict: change };
    const conflict =
      change.op === 'put' || change.op === 'delete' ? staleness(state, change) : undefined;
    if (conflict !== undefined) return { conflict };
    changes.push(change);
  }
  const clash = clashOf(state, changes);
  if (clash !== undefined) return { conflict: clash };
  const events: ObjectEvent[] = [];
  for (const change of changes) {
    const event = applyChange(state, index, entry.atMs, change);
    if (event !== undefined) events.push(withUser(event, change));
  }
  return { events };
}

/**
 * Versions are compared with the state before the entry: within one entry an object may be changed
 * several times, all planned on the same version.
 */
function staleness(state: State, change: Put | Delete): string | undefined {
  const { table, base } = change;
  const id = change.op === 'put' ? change.object.id : change.id;
  const present = state.get(table, id);
  if (present === undefined) {
    if (table === 'cluster' && change.op === 'put' && base === 0) return clusterClash(state, id);
    return base === 0 && change.op === 'put'
      ? undefined
      : `${table} ${id} is gone; the change was planned on version ${base}`;
  }
  const { version } = present.meta;
  if (version === base) return undefined;
  return base === 0
    ? `${table} ${id} exists already, at version ${version}`
    : `${table} ${id} is at version ${version}; the change was planned on version ${base}`;
}

function clusterClash(state: State, id: string): string | undefined {
  const present = state.cluster();
  if (present === undefined) return undefined;
  return `cluster ${id} cannot be created: cluster ${present.id} exists`;
}

function applyChange(
  state: State,
  index: number,
  atMs: number,
  change: Change,
): ObjectEvent | undefined {
  switch (change.op) {
    case 'put':
      return put(state, index, atMs, change.table, change.object);
    case 'delete': {
      const old = state.delete(change.table, change.id);
      if (old === undefined) return undefined;
      return {
        table: change.table,
        action: 'remove',
        object: old,
        old,
        index,
        atMs,
      } as ObjectEvent;
    }
    case 'task-status': {
      const task = state.task(change.id);
      if (task === undefined || !advances(task.status, change.status)) return undefined;
      return put(state, index, atMs, 'task', withTaskStatus(task, change.status, atMs));
    }
    case 'task-desire': {
      const task = state.task(change.id);
      if (task === undefined) return undefined;
      if (compareStates(change.desiredState, task.desiredState) <= 0) return undefined;
      return put(state, index, atMs, 'task', { ...task, desiredState: change.desiredState });
    }
    case 'node-status': {
      const node = state.node(change.id);
      const next = node === undefined ? undefined : withStatus(node, change);
      return next === undefined ? undefined : put(state, index, atMs, 'node', next);
    }
    case 'node-addresses': {
      const { ingressAddresses } = change;
      const node = state.node(change.id);
      if (node === undefined) return undefined;
      if (isDeepStrictEqual(node.ingressAddresses ?? [], ingressAddresses)) return undefined;
      return put(state, index, atMs, 'node', { ...node, ingressAddresses });
    }
    default:
      return unreachable(change);
  }
}

function withUser(event: ObjectEvent, change: Change): ObjectEvent {
  const user = change.op === 'put' || change.op === 'delete' ? change.user : undefined;
  return user === undefined ? event : { ...event, user };
}

function put<T extends TableName>(
  state: State,
  index: number,
  atMs: number,
  table: T,
  object: Tables[T],
): ObjectEvent {
  const createdAtMs = state.get(table, object.id)?.meta.createdAtMs ?? atMs;
  const stamped = { ...object, meta: { version: index, createdAtMs, updatedAtMs: atMs } };
  const old = state.put(table, stamped);
  const event =
    old === undefined
      ? { table, action: 'create', object: stamped, index, atMs }
      : { table, action: 'update', object: stamped, old, index, atMs };
  return event as unknown as ObjectEvent;
}

/** The status is a later one, or says more of the same state. */
function advances(present: Task['status'], next: TaskStatus): boolean {
  const order = compareStates(next.state, present.state);
  if (order !== 0) return order > 0;
  return (
    next.message !== present.message ||
    next.err !== present.err ||
    !isDeepStrictEqual(next.container, present.container) ||
    !isDeepStrictEqual(next.ports, present.ports) ||
    !isDeepStrictEqual(next.networks, present.networks)
  );
}

function withTaskStatus(task: Task, status: TaskStatus, atMs: number): Task {
  return status.state === 'running' && task.runningAtMs === undefined
    ? { ...task, status, runningAtMs: atMs }
    : { ...task, status };
}

/** The node as the change leaves it, or nothing where it says what is known already. */
function withStatus(node: Node, change: NodeStatusChange): Node | undefined {
  const { status = node.status, description = node.description } = change;
  if (isDeepStrictEqual(status, node.status) && isDeepStrictEqual(description, node.description)) {
    return undefined;
  }
  return { ...node, status, ...(description === undefined ? {} : { description }) };
}
