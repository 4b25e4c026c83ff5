/** The empty file by which programs find that they are in a container: Docker's has one as well. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';
import { layersOf, type SnapshotMount } from './rootfs-file.ts';

export const markTarget = '/.dockerenv';

/** Into a writable layer that no container uses yet; whatever an image has there stays. */
export async function markLayer(mounts: readonly SnapshotMount[]): Promise<void> {
  const [top] = layersOf(mounts);
  const type = mounts[0]?.type;
  // Of a block device nothing is to be seen before it is mounted.
  if (top === undefined || (type !== 'overlay' && type !== 'bind')) return;
  try {
    await writeFile(join(top, markTarget), '', { mode: 0o755, flag: 'wx' });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}
