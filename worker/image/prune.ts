/** `docker image prune`: removes images that nothing needs, and counts what that frees. */
import type { Image, Images } from './images.ts';
import { chainIds, parseConfig } from './oci.ts';
import type { Unpacker } from './store/unpack.ts';

export type PruneOptions = Parameters<Images['prune']>[0];
export type Pruned = Awaited<ReturnType<Images['prune']>>;

export async function pruneImages(
  images: Pick<Images, 'list' | 'remove'>,
  unpacker: Unpacker,
  { inUse, wanted }: PruneOptions,
): Promise<Pruned> {
  const removed: Pruned['removed'][number][] = [];
  let reclaimedBytes = 0;
  for (const image of await images.list()) {
    if (inUse(image.id) !== undefined || !wanted(image)) continue;
    const layers = await layerBytes(image, unpacker);
    // By id and forced: every name goes, whatever repository it is of.
    const steps = await images.remove(image.id, { force: true, inUse });
    removed.push(...steps);
    for (const step of steps) {
      if ('deleted' in step) reclaimedBytes += layers.get(step.deleted) ?? 0;
    }
  }
  return { removed, reclaimedBytes };
}

async function layerBytes(image: Image, unpacker: Unpacker): Promise<ReadonlyMap<string, number>> {
  const { diffIds } = parseConfig(Buffer.from(JSON.stringify(image.rawConfig)));
  const layers = chainIds(diffIds).map(
    async (chainId) => [chainId, (await unpacker.sizeBytes(chainId)) ?? 0] as const,
  );
  return new Map(await Promise.all(layers));
}
