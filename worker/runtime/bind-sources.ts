/** Bind mounts, unlike Docker's -v, do not make what they mount. */
import { stat } from 'node:fs/promises';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import { makeFolders } from '../../lib/folders.ts';
import type { Mount } from '../../types/index.ts';

/** Throws SwarmError `invalid-argument` in Docker's words for a source that does not exist. */
export async function checkBindSources(mounts: readonly Mount[]): Promise<void> {
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

async function makeSource(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (cause) {
    const message = `error while creating mount source path '${path}': ${messageOf(cause)}`;
    throw new SwarmError('invalid-argument', message, { cause });
  }
}
