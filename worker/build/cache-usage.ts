/** What the images that builds have left take up, out of the lists that buildah's storage keeps. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';
import type { Buildah } from './buildah.ts';

export interface CacheUse {
  readonly id: string;
  /** The entry that it was built on; empty for a base. */
  readonly parent: string;
  /** Those of an image that was built on; a step has none. */
  readonly names: readonly string[];
  readonly createdAtMs: number;
  /** What is there for it and for none before it. */
  readonly sizeBytes: number;
}

/** As containers/storage writes it. */
interface StoredImage {
  readonly id: string;
  readonly layer?: string;
  readonly names?: readonly string[] | null;
  readonly created?: string;
}

interface StoredLayer {
  readonly id: string;
  readonly parent?: string;
  readonly 'diff-size'?: number;
}

/** Reads two files, and starts nothing. Empty where nothing has been built. */
export async function cacheUsage({
  storage,
}: Pick<Buildah, 'storage'>): Promise<readonly CacheUse[]> {
  const read = async <T>(folder: string, file: string): Promise<readonly T[]> => {
    try {
      const text = await readFile(join(storage, folder, file), 'utf8');
      return (JSON.parse(text) as readonly T[] | null) ?? [];
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return [];
      throw thrown;
    }
  };
  const images = await read<StoredImage>('overlay-images', 'images.json');
  return usageOf(images, await read<StoredLayer>('overlay-layers', 'layers.json'));
}

/** Each layer counts once: for the first image, from the base upwards, that has it. */
export function usageOf(
  images: readonly StoredImage[],
  layers: readonly StoredLayer[],
): readonly CacheUse[] {
  const layerById = new Map(layers.map((layer) => [layer.id, layer]));
  const chains = images.map((image) => ({ image, chain: chainOf(image.layer, layerById) }));
  const ownerOf = new Map<string, string>();
  return chains
    .toSorted((a, b) => a.chain.length - b.chain.length || createdMs(a.image) - createdMs(b.image))
    .map(({ image, chain }) => {
      const parent = chain.map(({ id }) => ownerOf.get(id)).find((id) => id !== undefined) ?? '';
      const own = chain.filter(({ id }) => !ownerOf.has(id));
      for (const { id } of own) ownerOf.set(id, image.id);
      return {
        id: image.id,
        parent,
        names: image.names ?? [],
        createdAtMs: createdMs(image),
        sizeBytes: own.reduce((sum, layer) => sum + Math.max(0, layer['diff-size'] ?? 0), 0),
      };
    });
}

/** The top first. */
function chainOf(
  top: string | undefined,
  layerById: ReadonlyMap<string, StoredLayer>,
): readonly StoredLayer[] {
  const chain: StoredLayer[] = [];
  let layer = layerById.get(top ?? '');
  while (layer !== undefined && chain.length < layerById.size) {
    chain.push(layer);
    layer = layerById.get(layer.parent ?? '');
  }
  return chain;
}

function createdMs({ created }: StoredImage): number {
  const atMs = Date.parse(created ?? '');
  return Number.isNaN(atMs) ? 0 : atMs;
}
