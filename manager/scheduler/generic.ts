/** Generic resources: GPUs and the like, counted (discrete) or each with a name. */
import type { GenericResource } from '../../types/index.ts';

/**
 * What is to be claimed for a task that asks for `wanted` on a node that has `all`, of which
 * `claimed` is taken; undefined where it does not fit. A kind that the node lists by name is
 * claimed by name, in the node's order, so that each task knows which ones are its own.
 */
export function claimGeneric(
  wanted: readonly GenericResource[],
  all: readonly GenericResource[],
  claimed: readonly GenericResource[],
): readonly GenericResource[] | undefined {
  const claim: GenericResource[] = [];
  for (const { kind, count } of requests(wanted)) {
    const names = namesOf(all, kind);
    if (names.length > 0) {
      const taken = new Set(namesOf(claimed, kind));
      const free = names.filter((name) => !taken.has(name));
      if (free.length < count) return undefined;
      claim.push(...free.slice(0, count).map((value) => ({ named: { kind, value } })));
    } else {
      if (countOf(all, kind) - countOf(claimed, kind) < count) return undefined;
      claim.push({ discrete: { kind, value: count } });
    }
  }
  return claim;
}

/** Asked for in all of one kind: a request by name counts as one. */
function requests(wanted: readonly GenericResource[]): { kind: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { named, discrete } of wanted) {
    const kind = discrete?.kind ?? named?.kind ?? '';
    counts.set(kind, (counts.get(kind) ?? 0) + (discrete?.value ?? 1));
  }
  return [...counts].map(([kind, count]) => ({ kind, count }));
}

function namesOf(resources: readonly GenericResource[], kind: string): string[] {
  return resources.flatMap(({ named }) => (named?.kind === kind ? [named.value] : []));
}

function countOf(resources: readonly GenericResource[], kind: string): number {
  return resources.reduce(
    (sum, { discrete }) => (discrete?.kind === kind ? sum + discrete.value : sum),
    0,
  );
}
