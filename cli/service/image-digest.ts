/** Pins a service's image to the digest that the registry gives now, as Docker's clients do. */
import { SwarmError } from '../../lib/errors.ts';
import type { Client } from '../client/index.ts';
import { container, placement, type SpecDraft } from './draft.ts';

interface Distribution {
  readonly Descriptor?: { readonly digest?: string };
  readonly Platforms?: readonly { readonly architecture?: string; readonly os?: string }[] | null;
}

/** Adds the tag that everybody means when there is none. */
export function withTag(image: string): string {
  if (image.includes('@')) return image;
  const last = image.slice(image.lastIndexOf('/') + 1);
  return last === '' || last.includes(':') ? image : `${image}:latest`;
}

/**
 * Replaces the image by its digest and notes the platforms it exists for. Returns a warning where
 * the registry could not be asked: the service then goes on with what it has.
 */
export async function pinImage(
  spec: SpecDraft,
  client: Client,
  registryAuth: string | undefined,
): Promise<string | undefined> {
  const target = container(spec);
  if (target.image.includes('@') || /^[0-9a-f]{64}$/.test(target.image)) return undefined;
  const image = target.image;
  const tagged = withTag(image);
  try {
    const found = await client.get<Distribution>(
      `/distribution/${encodeURI(tagged)}/json`,
      {},
      registryAuth === undefined ? {} : { headers: { 'X-Registry-Auth': registryAuth } },
    );
    const digest = found.Descriptor?.digest;
    if (digest === undefined) return unpinned(image);
    target.image = `${tagged}@${digest}`;
    const platforms = (found.Platforms ?? []).map(({ architecture, os }) => ({
      ...(architecture ? { architecture } : {}),
      ...(os ? { os } : {}),
    }));
    if (platforms.length > 0) placement(spec).platforms = platforms;
    return undefined;
  } catch (error) {
    const failure = SwarmError.from(error);
    // Only an answer of the daemon is a reason to go on; a lost connection is not.
    if (failure.details['status'] === undefined) throw error;
    return unpinned(image);
  }
}

function unpinned(image: string): string {
  return (
    `image ${image} could not be accessed on a registry to record\n` +
    `its digest. Each node will access ${image} independently,\n` +
    `possibly leading to different nodes running different\n` +
    `versions of the image.\n`
  );
}
