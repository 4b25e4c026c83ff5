/** From what a user typed to an object: its id, its name, or an unambiguous start of its id. */
import { SwarmError } from '../lib/errors.ts';
import type { StoreView } from '../manager/store/view.ts';
import type { Cluster, Node, Service, Task } from '../types/index.ts';

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

export function findTask(view: StoreView, input: string): Task {
  return view.task(input) ?? only('task', input, [...view.tasks()], (task) => task.name === input);
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
