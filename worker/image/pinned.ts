/** What mounts of images hold fast: the image that their name means when a container is made. */
import type { PinnedMount } from '../runtime/runtime.ts';
import type { Image } from './images.ts';

/** Asks for every image that is not pinned yet, in order; throws what `find` throws. */
export async function pinImages(
  mounts: readonly PinnedMount[],
  find: (name: string) => Promise<Pick<Image, 'id' | 'rootfs'>>,
): Promise<readonly PinnedMount[]> {
  const done: PinnedMount[] = [];
  for (const mount of mounts) {
    if (mount.type !== 'image' || mount.pinned !== undefined) {
      done.push(mount);
      continue;
    }
    const { id, rootfs } = await find(mount.source ?? '');
    done.push({ ...mount, pinned: { imageId: id, rootfs } });
  }
  return done;
}

/** A container needs the images that are mounted in it as it needs its own. */
export function needsImage(
  container: { readonly imageId: string; readonly mounts: readonly PinnedMount[] },
  imageId: string,
): boolean {
  return (
    container.imageId === imageId ||
    container.mounts.some(({ pinned }) => pinned?.imageId === imageId)
  );
}
