/** Mounts of the daemon's own that containers get: parts of volumes, and images' file systems. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, SwarmError } from '../../lib/errors.ts';
import { isMounted } from '../../lib/mount-table.ts';
import { locate, wayTo } from '../container/archive/root.ts';
import { mount, mountFlags, unmount } from '../network/syscalls.ts';
import { mountSnapshot } from '../runtime/mount-snapshot.ts';
import type { ImageRootfs, Runtime } from '../runtime/runtime.ts';

/** Where a container has it; no two mounts of one have the same target. */
interface Spot {
  readonly containerId: string;
  readonly target: string;
}

/** O_PATH, which node:fs does not name: the entry itself, whatever it is. */
const openPath = 0o10000000;
/** Begins the names of layers that are kept for mounts of images. */
const layerPrefix = 'mount-';
/** Ends the names of folders that a whole image is mounted at. */
const imageSuffix = '.image';

/** The layer outlives its maker's daemon: only `Parts` knows when it may go. */
export function isMountLayer(key: string): boolean {
  return key.startsWith(layerPrefix);
}

export class Parts {
  readonly #folder: string;
  readonly #layers: Pick<Runtime['layers'], 'prepare' | 'mounts' | 'remove'>;

  /** `folder` has one for each container. A containerd of another mount namespace sees into it. */
  constructor(folder: string, layers: Pick<Runtime['layers'], 'prepare' | 'mounts' | 'remove'>) {
    this.#folder = folder;
    this.#layers = layers;
  }

  /**
   * A part of a volume, held fast by a mount of its own: whoever shares the volume could otherwise
   * put a link to a folder of the host in its place.
   */
  async ofVolume(whole: string, subpath: string, spot: Spot): Promise<string> {
    await using located = await find(whole, subpath);
    const flags = constants.O_NOFOLLOW | openPath;
    await using handle = await open(wayTo(located), flags);
    const target = join(this.#folderOf(spot.containerId), nameOf(spot));
    if (located.stat?.isDirectory()) {
      await mkdir(target, { recursive: true, mode: 0o700 });
    } else {
      await mkdir(join(target, '..'), { recursive: true, mode: 0o700 });
      await (await open(target, 'w', 0o600)).close();
    }
    mount(`/proc/self/fd/${handle.fd}`, target, mountFlags.bind);
    return target;
  }

  /**
   * An image's file system, or a part of it, which nobody can write to: it is mounted with an empty
   * layer on it, so that not even a privileged container that mounts it anew reaches the image.
   */
  async ofImage(image: ImageRootfs, subpath: string | undefined, spot: Spot): Promise<string> {
    const name = nameOf(spot);
    const whole = join(this.#folderOf(spot.containerId), `${name}${imageSuffix}`);
    const key = layerOf(spot.containerId, name);
    // The folder comes first: by its name the layer is found again, whatever happens in between.
    await mkdir(whole, { recursive: true, mode: 0o700 });
    while (isMounted(whole)) unmount(whole);
    await this.#layers.remove(key);
    await this.#layers.prepare(key, image);
    for (const one of await this.#layers.mounts(key)) {
      mountSnapshot(one, whole, { readOnly: true });
    }
    return subpath ? this.ofVolume(whole, subpath, spot) : whole;
  }

  /** Where a mount of an image is while its container runs. */
  imagePath(spot: Spot, subpath: string | undefined): string {
    const name = nameOf(spot);
    return join(this.#folderOf(spot.containerId), subpath ? name : `${name}${imageSuffix}`);
  }

  /** A container that has none is not an error. */
  async drop(containerId: string): Promise<void> {
    const folder = this.#folderOf(containerId);
    const names = await namesIn(folder);
    if (names.length === 0) return;
    for (const name of names) {
      const path = join(folder, name);
      // Looked at anew each time: two may be letting go of the same container.
      while (isMounted(path)) unmount(path);
      if (!name.endsWith(imageSuffix)) continue;
      await this.#layers.remove(layerOf(containerId, name.slice(0, -imageSuffix.length)));
    }
    await rm(folder, { recursive: true, force: true });
  }

  /** Takes away what daemons that were killed have left of containers that are no more. */
  async retain(isKept: (containerId: string) => boolean): Promise<void> {
    for (const containerId of await namesIn(this.#folder)) {
      if (!isKept(containerId)) await this.drop(containerId);
    }
  }

  #folderOf(containerId: string): string {
    return join(this.#folder, containerId);
  }
}

/** Targets may be longer than names of files, and have slashes. */
function nameOf({ target }: Spot): string {
  return createHash('sha256').update(target).digest('hex').slice(0, 16);
}

function layerOf(containerId: string, name: string): string {
  return `${layerPrefix}${containerId}-${name}`;
}

async function find(whole: string, subpath: string) {
  const missing = () =>
    new SwarmError(
      'invalid-argument',
      `cannot access path ${join(whole, subpath)}: no such file or directory`,
    );
  let located: Awaited<ReturnType<typeof locate>>;
  try {
    located = await locate(whole, subpath, { followLast: true });
  } catch (error) {
    if (SwarmError.from(error).code === 'not-found') throw missing();
    throw error;
  }
  if (located.stat !== undefined) return located;
  await located[Symbol.asyncDispose]();
  throw missing();
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
