/** What images take on the disk, and what of it several of them share. Pure. */
import type { Image } from '../../worker/image/images.ts';

type Layered = Pick<Image, 'id' | 'layerBytes' | 'rawConfig'>;

export interface ImageUsage {
  /** Of layers that other images are made of as well. */
  readonly sharedBytes: number;
  /** How many containers were made of it. */
  readonly containers: number;
}

interface Layer {
  /** A layer is what it is with all that is below it. */
  readonly chain: string;
  readonly bytes: number;
}

/** `imageIds`: of each container, running or not. `layersBytes` counts every layer once. */
export function imageUsages(
  images: readonly Layered[],
  imageIds: readonly string[],
): { readonly layersBytes: number; readonly usageOf: (imageId: string) => ImageUsage } {
  const users = new Map<string, number>();
  const bytesOf = new Map<string, number>();
  for (const { chain, bytes } of images.flatMap(layersOf)) {
    users.set(chain, (users.get(chain) ?? 0) + 1);
    bytesOf.set(chain, bytes);
  }
  const shared = new Map(images.map((image) => [image.id, sharedBytesOf(image, users)]));
  const containers = new Map<string, number>();
  for (const id of imageIds) containers.set(id, (containers.get(id) ?? 0) + 1);
  return {
    layersBytes: sum([...bytesOf.values()]),
    usageOf: (id) => ({ sharedBytes: shared.get(id) ?? 0, containers: containers.get(id) ?? 0 }),
  };
}

function sharedBytesOf(image: Layered, users: ReadonlyMap<string, number>): number {
  const layers = layersOf(image).filter(({ chain }) => (users.get(chain) ?? 0) > 1);
  return sum(layers.map(({ bytes }) => bytes));
}

function layersOf({ layerBytes = [], rawConfig }: Layered): readonly Layer[] {
  const { diff_ids: ids = [] } = (rawConfig['rootfs'] ?? {}) as { diff_ids?: readonly string[] };
  return layerBytes.map((bytes, at) => ({ chain: ids.slice(0, at + 1).join(), bytes }));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
