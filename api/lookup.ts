/** From what a user typed to an object: its id, its name, or an unambiguous start of its id. */
import { SwarmError } from '../lib/errors.ts';
import type { StoreView } from '../manager/store/view.ts';
import {
  isTerminal,
  type Cluster,
  type ClusterVolume,
  type FileKind,
  type FileObject,
  type Node,
  type Service,
  type Task,
} from '../types/index.ts';

export function findService(view: StoreView, input: string): Service {
  return (
    view.service(input) ??
    view.serviceByName(input) ??
    only('service', input, [...view.services()], () => false)
  );
}

export function findNode(view: StoreView, input: string): Node {
  return (
    view.node(input) ??
    only('node', input, [...view.nodes()], (node) => node.description?.hostname === input)
  );
}

/**
 * By its id, the start of it, or its name: `web.2`, `web.2.<id>`, or for a global service
 * `web.<node>`. Where a place had many tasks one after the other, that which runs is meant, else
 * the newest. The name of a service alone means its only task.
 */
export function findTask(view: StoreView, input: string): Task {
  const byId = view.task(input);
  if (byId !== undefined) return byId;
  const all = [...view.tasks()];
  const placed = all.filter((task) => task.name === input || isAt(view, task, input));
  if (placed.length > 0) {
    refuseSameNames(placed, input);
    return placed.reduce((a, b) => (isBetter(b, a) ? b : a));
  }
  const service = view.serviceByName(input);
  const live = service && [...view.tasksOfService(service.id)].filter(runs);
  const [first, ...others] = live ?? [];
  if (first !== undefined && others.length === 0) return first;
  if (first !== undefined) {
    const names = [first, ...others].map(placeName).toSorted().slice(0, namesMax).join(', ');
    throw new SwarmError(
      'invalid-argument',
      `service ${input} has ${others.length + 1} tasks: name one of them, such as ${names}`,
    );
  }
  return only('task', input, all, () => false);
}

/** Throws `invalid-argument` where nodes of one name each run a task of a global service. */
function refuseSameNames(placed: readonly Task[], input: string): void {
  const [first, ...others] = placed.filter((task) => task.slot === 0 && runs(task));
  if (first === undefined || others.every(({ nodeId }) => nodeId === first.nodeId)) return;
  const names = [first, ...others].map(placeName).toSorted().slice(0, namesMax).join(', ');
  throw new SwarmError(
    'invalid-argument',
    `task ${input} is ambiguous, as several nodes have that name: name one of ${names}`,
  );
}

const namesMax = 5;

/** What a person calls it: `web.2`, or `web.<node id>` of a global service. */
export function placeName({ serviceName, slot, nodeId }: Task): string {
  return `${serviceName}.${slot === 0 ? nodeId : slot}`;
}

function isAt(view: StoreView, task: Task, input: string): boolean {
  if (!input.startsWith(`${task.serviceName}.`)) return false;
  const place = input.slice(task.serviceName.length + 1);
  if (task.slot > 0) return place === String(task.slot);
  return (
    task.nodeId !== '' &&
    (place === task.nodeId || place === view.node(task.nodeId)?.description?.hostname)
  );
}

function runs({ status }: Task): boolean {
  return status.state === 'running';
}

function isBetter(a: Task, b: Task): boolean {
  if (runs(a) !== runs(b)) return runs(a);
  if (isTerminal(a.status.state) !== isTerminal(b.status.state)) return isTerminal(b.status.state);
  return a.meta.createdAtMs > b.meta.createdAtMs;
}

/** A secret or config; a name stands for its newest revision, an id for any. */
export function findFile(view: StoreView, kind: FileKind, input: string): FileObject {
  const found = view.file(kind, input) ?? view.revisions(kind, input).at(-1);
  return found ?? only(kind, input, currentFiles(view, kind), () => false);
}

/** What the names stand for, without the revisions before. */
export function currentFiles(view: StoreView, kind: FileKind): FileObject[] {
  return [...view.files(kind)].filter(
    (file) => view.revisions(kind, file.spec.name).at(-1)?.id === file.id,
  );
}

/** A cluster volume by its name, its id, or the start of it. */
export function findVolume(
  volumes: readonly ClusterVolume[],
  input: string,
): ClusterVolume | undefined {
  const exact = volumes.find(({ id, spec }) => spec.name === input || id === input);
  if (exact !== undefined || input === '') return exact;
  const found = volumes.filter(({ id }) => id.startsWith(input));
  return found.length > 1 ? only('volume', input, volumes, () => false) : found[0];
}

export function findCluster(view: StoreView): Cluster {
  const cluster = view.cluster();
  if (cluster === undefined) {
    throw new SwarmError('unavailable', 'This node is not part of a swarm');
  }
  return cluster;
}

/** Throws Docker's errors: `not-found`, or `invalid-argument` for an ambiguous input. */
function only<T extends { readonly id: string }>(
  noun: string,
  input: string,
  all: readonly T[],
  isNamed: (object: T) => boolean,
): T {
  const named = all.filter(isNamed);
  const found =
    named.length > 0 || input === '' ? named : all.filter(({ id }) => id.startsWith(input));
  const [first] = found;
  if (first === undefined) throw new SwarmError('not-found', `${noun} ${input} not found`);
  if (found.length > 1) {
    throw new SwarmError(
      'invalid-argument',
      `${noun} ${input} is ambiguous (${found.length} matches found)`,
    );
  }
  return first;
}
