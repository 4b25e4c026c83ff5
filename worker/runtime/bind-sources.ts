/** Bind mounts, unlike Docker's -v, do not make what they mount. */
import { realpath, stat } from 'node:fs/promises';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import { makeFolders } from '../../lib/folders.ts';
import { mountOf, mountTable, type MountInfo } from '../../lib/mount-table.ts';
import type { Mount } from '../../types/index.ts';

/**
 * Before a container is started. Throws what `checkSourcesExist` does, and SwarmError
 * `invalid-argument` in Docker's words for a source from which mounts cannot be handed on as asked.
 */
export async function checkBindSources(
  mounts: readonly Mount[],
  readTable: () => readonly MountInfo[] = mountTable,
): Promise<void> {
  await checkSourcesExist(mounts);
  for (const { type, source = '', bindOptions } of mounts) {
    if (type !== 'bind') continue;
    await checkPropagation(source, bindOptions?.propagation ?? 'rprivate', readTable);
  }
}

/**
 * Makes the sources that are to be made. Throws SwarmError `invalid-argument` in Docker's words for
 * another one that does not exist.
 */
export async function checkSourcesExist(mounts: readonly Mount[]): Promise<void> {
  for (const { type, source = '', bindOptions } of mounts) {
    if (type !== 'bind') continue;
    try {
      await stat(source);
    } catch (cause) {
      if (errnoOf(cause) !== 'ENOENT') throw cause;
      if (bindOptions?.createMountpoint) {
        await makeSource(source);
        continue;
      }
      throw new SwarmError(
        'invalid-argument',
        `invalid mount config for type "bind": bind source path does not exist: ${source}`,
        { cause },
      );
    }
  }
}

async function checkPropagation(
  source: string,
  propagation: string,
  readTable: () => readonly MountInfo[],
): Promise<void> {
  if (propagation.endsWith('private')) return;
  const mount = mountOf(await realpath(source), readTable());
  const isSlave = propagation.endsWith('slave');
  if (mount === undefined || mount.isShared || (isSlave && mount.isSlave)) return;
  const kinds = isSlave ? 'shared or slave' : 'shared';
  throw new SwarmError(
    'invalid-argument',
    `path ${source} is mounted on ${mount.path} but it is not a ${kinds} mount`,
  );
}

async function makeSource(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (cause) {
    const message = `error while creating mount source path '${path}': ${messageOf(cause)}`;
    throw new SwarmError('invalid-argument', message, { cause });
  }
}
