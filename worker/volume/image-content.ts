/** What an image has where a volume is mounted: the volume's first content. */
import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmError } from '../../lib/errors.ts';
import { locate, wayTo } from '../container/archive/root.ts';
import { unmount } from '../network/syscalls.ts';
import { mountSnapshot } from '../runtime/mount-snapshot.ts';
import type { ImageRootfs, Runtime } from '../runtime/runtime.ts';
import { runProgram } from './program.ts';

export interface ImageContent {
  /** Copies the folder's content with owners and modes, its own among them; none: nothing. */
  copy(image: ImageRootfs, path: string, folder: string, key: string): Promise<void>;
}

/** Gigabytes may have to be copied on a slow disk; nobody waits longer. */
const copyTimeoutMs = 30 * 60_000;

/** Mounts the image's layers for as long as the copy takes. */
export class LayerContent implements ImageContent {
  readonly #folder: string;
  readonly #layers: Pick<Runtime['layers'], 'prepare' | 'mounts' | 'remove'>;

  /** Views of images are mounted in `folder`. */
  constructor(folder: string, layers: Pick<Runtime['layers'], 'prepare' | 'mounts' | 'remove'>) {
    this.#folder = folder;
    this.#layers = layers;
  }

  async copy(image: ImageRootfs, path: string, folder: string, key: string): Promise<void> {
    const layer = `volume-${key}`;
    // What a daemon that was killed has left is in the way.
    await this.#layers.remove(layer);
    await this.#layers.prepare(layer, image);
    try {
      const root = join(this.#folder, layer);
      await mkdir(root, { recursive: true, mode: 0o700 });
      for (const one of await this.#layers.mounts(layer)) {
        mountSnapshot(one, root, { readOnly: false });
      }
      try {
        await copyFrom(root, path, folder);
      } finally {
        unmount(root);
      }
    } finally {
      await this.#layers.remove(layer);
    }
  }
}

async function copyFrom(root: string, path: string, folder: string): Promise<void> {
  await using located = await found(root, path);
  if (located?.stat?.isDirectory() !== true) return;
  // The directory is held open: whatever becomes of the way to it, nothing else is copied.
  await using handle = await open(wayTo(located), constants.O_DIRECTORY);
  const source = `/proc/${process.pid}/fd/${handle.fd}/.`;
  await runProgram('cp', ['-a', '--', source, folder], { timeoutMs: copyTimeoutMs });
}

async function found(root: string, path: string) {
  try {
    return await locate(root, path, { followLast: true });
  } catch (error) {
    if (SwarmError.from(error).code === 'not-found') return undefined;
    throw error;
  }
}
