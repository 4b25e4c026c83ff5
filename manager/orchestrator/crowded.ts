/** Tasks for which their node, that came back with less than it had, has no room any more. */
import type { StoreView } from '../store/view.ts';
import { isActive, type GenericResource, type Node, type Task } from '../../types/index.ts';

/**
 * What of its node's resources the task has reserved and is no longer there: undefined while there
 * is room. Older tasks stay; one that is too large for what they leave makes way, and no smaller
 * one.
 */
export function crowdedOut(view: StoreView, task: Task, node: Node): string | undefined {
  const resources = node.description?.resources;
  // A node that is paused keeps what it has, as in Docker.
  if (resources === undefined || node.spec.availability !== 'active') return undefined;
  const { nanoCpus, memoryBytes } = view.usage(node.id);
  const isTight = nanoCpus > resources.nanoCpus || memoryBytes > resources.memoryBytes;
  const claims = task.genericResources ?? [];
  if (!isTight && claims.length === 0) return undefined;
  const left = new Room(resources);
  const tasks = [...view.tasksOfNode(node.id)]
    .filter((one) => isActive(one) && (isTight || (one.genericResources?.length ?? 0) > 0))
    .sort((a, b) => a.meta.createdAtMs - b.meta.createdAtMs || (a.id < b.id ? -1 : 1));
  for (const one of tasks) {
    const lack = left.lackFor(one);
    if (one.id === task.id) return lack;
    if (lack === undefined) left.take(one);
  }
  return undefined;
}

/**
 * What the task reserves and its node lacks besides all others there; it need not be wanted now.
 */
export function lackOf(view: StoreView, task: Task, node: Node): string | undefined {
  const resources = node.description?.resources;
  if (resources === undefined) return undefined;
  const left = new Room(resources);
  for (const one of view.tasksOfNode(node.id)) {
    if (one.id !== task.id && isActive(one)) left.take(one);
  }
  return left.lackFor(task);
}

class Room {
  #nanoCpus: number;
  #memoryBytes: number;
  /** Those with names, and how many there are of those without. */
  readonly #names: Set<string>;
  readonly #counts = new Map<string, number>();

  constructor({
    nanoCpus,
    memoryBytes,
    genericResources = [],
  }: NonNullable<Node['description']>['resources']) {
    this.#nanoCpus = nanoCpus;
    this.#memoryBytes = memoryBytes;
    this.#names = new Set(genericResources.flatMap((one) => nameOf(one) ?? []));
    for (const { discrete } of genericResources) {
      if (discrete !== undefined) this.#add(discrete.kind, discrete.value);
    }
  }

  lackFor({ spec, genericResources = [] }: Task): string | undefined {
    const { nanoCpus = 0, memoryBytes = 0 } = spec.resources?.reservations ?? {};
    if (nanoCpus > 0 && nanoCpus > this.#nanoCpus) return 'CPUs';
    if (memoryBytes > 0 && memoryBytes > this.#memoryBytes) return 'memory';
    const missing = genericResources.find((one) => !this.#has(one));
    return missing?.named?.kind ?? missing?.discrete?.kind;
  }

  take({ spec, genericResources = [] }: Task): void {
    const { nanoCpus = 0, memoryBytes = 0 } = spec.resources?.reservations ?? {};
    this.#nanoCpus -= nanoCpus;
    this.#memoryBytes -= memoryBytes;
    for (const one of genericResources) {
      const name = nameOf(one);
      if (name !== undefined) this.#names.delete(name);
      if (one.discrete !== undefined) this.#add(one.discrete.kind, -one.discrete.value);
    }
  }

  #has(claim: GenericResource): boolean {
    const name = nameOf(claim);
    if (name !== undefined) return this.#names.has(name);
    const { kind = '', value = 0 } = claim.discrete ?? {};
    return (this.#counts.get(kind) ?? 0) >= value;
  }

  #add(kind: string, value: number): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + value);
  }
}

function nameOf({ named }: GenericResource): string | undefined {
  return named === undefined ? undefined : `${named.kind}=${named.value}`;
}
