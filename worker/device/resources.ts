/** Generic resources as they are written for a daemon, and told to a container. Pure. */
import { SwarmError } from '../../lib/errors.ts';
import type { GenericResource } from '../../types/index.ts';

/** "disk=5" counts, "gpu=id1" names one. Throws `invalid-argument`. */
export function parseResources(words: readonly string[]): readonly GenericResource[] {
  const resources = words.flatMap((word) => word.split(',')).map(parseOne);
  for (const { discrete } of resources) {
    if (discrete === undefined) continue;
    const alike = resources.filter((one) => kindOf(one) === discrete.kind);
    if (alike.length > 1) {
      throw invalid(`"${discrete.kind}" is given more than once: count it, or name each of them`);
    }
  }
  return resources;
}

function parseOne(word: string): GenericResource {
  const [, kind = '', value = ''] = /^([^=\s]+)=([^=\s]+)$/.exec(word.trim()) ?? [];
  if (kind === '') throw invalid(`"${word}" is not KIND=NUMBER or KIND=NAME`);
  if (!/^\d+$/.test(value)) return { named: { kind, value } };
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw invalid(`"${word}" is too large a number`);
  return { discrete: { kind, value: number } };
}

export function kindOf({ named, discrete }: GenericResource): string {
  return named?.kind ?? discrete?.kind ?? '';
}

/** Docker's variables: DOCKER_RESOURCE_GPU=id1,id2 or DOCKER_RESOURCE_DISK=5. */
export function resourceEnv(claimed: readonly GenericResource[]): readonly string[] {
  const values = new Map<string, string[]>();
  for (const one of claimed) {
    const value = one.named?.value ?? String(one.discrete?.value ?? 0);
    values.set(kindOf(one), [...(values.get(kindOf(one)) ?? []), value]);
  }
  // A vendor's kind has a slash and dots, which no shell takes in a name.
  return [...values].map(([kind, all]) => {
    const name = kind.toUpperCase().replace(/[/.]/g, '_');
    return `DOCKER_RESOURCE_${name}=${all.join(',')}`;
  });
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
