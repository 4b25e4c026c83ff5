/** Filters' refusals in words, each about one node: what `explain` tells. */
import type { GenericResource, Node } from '../../types/index.ts';
import { satisfies, valueOf, type Constraint } from './constraint.ts';
import { claimGeneric } from './generic.ts';
import type { NodeTable } from './node-table.ts';

export function unavailability({ spec, status }: Node): string {
  if (status.state === 'down') return 'is down';
  if (status.state !== 'ready') return 'has not been heard of for some seconds';
  return spec.availability === 'drain' ? 'is drained' : 'is paused: it takes no new tasks';
}

interface Reserved {
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly generic: readonly GenericResource[];
}

/** What of the reservation there is too little of. */
export function shortage(table: NodeTable, number: number, asked: Reserved): string {
  const lacks: string[] = [];
  const freeNanoCpus = table.freeNanoCpus[number] ?? 0;
  const freeMemoryBytes = table.freeMemoryBytes[number] ?? 0;
  if (freeNanoCpus < asked.nanoCpus) {
    lacks.push(`${cpus(freeNanoCpus)} CPUs unreserved, ${cpus(asked.nanoCpus)} are asked for`);
  }
  if (freeMemoryBytes < asked.memoryBytes) {
    lacks.push(
      `${mebibytes(freeMemoryBytes)} of memory unreserved, ${mebibytes(asked.memoryBytes)} are asked for`,
    );
  }
  const all = table.nodes[number]?.description?.resources.genericResources ?? [];
  const claimed = table.claimedGeneric(number);
  for (const kind of new Set(asked.generic.map(kindOf))) {
    const wanted = asked.generic.filter((one) => kindOf(one) === kind);
    if (claimGeneric(wanted, all, claimed) !== undefined) continue;
    const left = count(all, kind) - count(claimed, kind);
    lacks.push(`${left} ${kind} unreserved, ${count(wanted, kind)} are asked for`);
  }
  return `has ${lacks.join('; and ')}`;
}

/** The constraints that the node does not satisfy, and what it has instead. */
export function unsatisfied(node: Node, constraints: readonly Constraint[]): string {
  const parts = constraints
    .filter((constraint) => !satisfies(node, constraint))
    .map((constraint) => {
      const { key, equal, value } = constraint;
      const actual = valueOf(node, key);
      const has = actual === undefined ? 'there is no such key' : `there it is "${actual}"`;
      return `${key}${equal ? '==' : '!='}${value} (${has})`;
    });
  return `does not satisfy ${parts.join(', ')}`;
}

function kindOf({ named, discrete }: GenericResource): string {
  return discrete?.kind ?? named?.kind ?? '';
}

function count(resources: readonly GenericResource[], kind: string): number {
  return resources
    .filter((one) => kindOf(one) === kind)
    .reduce((sum, { discrete }) => sum + (discrete?.value ?? 1), 0);
}

function cpus(nanoCpus: number): string {
  return String(Math.round(nanoCpus / 1e6) / 1000);
}

function mebibytes(bytes: number): string {
  return `${Math.floor((bytes / 2 ** 20) * 10) / 10} MiB`;
}
