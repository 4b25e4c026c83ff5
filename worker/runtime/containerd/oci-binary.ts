/**
 * crun and runc copy themselves before each command, so that a container cannot write to the
 * program that starts others: half of what a command of theirs costs. Of a program that is mounted
 * read-only, and where we say so, they make no copy: it cannot be written to as it is.
 */
import { access, constants, mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { mount, mountFlags, unmount } from '../../network/syscalls.ts';
import type { RuntimePaths } from './paths.ts';

/** In the environment of both programs. They look at the mount all the same. */
export const needsNoCopy = '_LIBCONTAINER_CLONED_BINARY=1';

const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * Mounts the program read-only below the run root, before containerd is started: one that runs in
 * a mount namespace of its own sees it then. Mounts again what has been replaced since.
 */
export async function mountOciBinary(
  name: string,
  paths: RuntimePaths,
  log: Logger,
): Promise<void> {
  const source = await find(name);
  if (source === undefined) return;
  const target = join(paths.programs, name);
  await mkdir(paths.programs, { recursive: true, mode: 0o711 });
  if (await isReadOnly(target)) {
    if (await isSame(source, target)) return;
    unmount(target);
  }
  await (await open(target, 'a', 0o644)).close();
  try {
    mount(source, target, mountFlags.bind);
    mount('none', target, mountFlags.remount | mountFlags.bind | mountFlags.readOnly);
  } catch (error) {
    log.info('an OCI runtime is used without a read-only mount', { error: messageOf(error) });
  }
}

/** What containerd shall call: the mounted one, where the process with this id sees it so. */
export async function ociBinary(
  name: string,
  paths: RuntimePaths,
  containerdPid: number,
): Promise<string> {
  const target = join(paths.programs, name);
  return (await isReadOnly(`/proc/${containerdPid}/root${target}`)) ? target : name;
}

/** Only when no container is left that needs it. */
export async function unmountOciBinary(name: string, paths: RuntimePaths): Promise<void> {
  const target = join(paths.programs, name);
  if (await isReadOnly(target)) unmount(target);
  await rm(target, { force: true });
}

async function isReadOnly(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return false;
  } catch (error) {
    return errnoOf(error) === 'EROFS';
  }
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one), stat(other)]);
  return a.ino === b.ino && a.dev === b.dev;
}

async function find(name: string): Promise<string | undefined> {
  for (const folder of folders) {
    try {
      await access(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return undefined;
}
