/**
 * A folder of files that live no longer than the host is up. Where the run root is on a disk, as it
 * is in most containers, each of them would cost the disk's journal many times what it costs in
 * memory, and what a reboot leaves of them would be mistaken for what runs.
 */
import { mkdir, readdir, statfs } from 'node:fs/promises';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { mount, unmount } from '../network/syscalls.ts';

/** TMPFS_MAGIC: what statfs calls a file system in memory. */
const tmpfsType = 0x01021994;

/**
 * Makes the folder, in memory where it can. One with something in it stays as it is: the mount
 * would hide what a former daemon left running. Must come before anything is started that looks
 * into it.
 */
export async function makeMemoryFolder(path: string, log: Logger): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o711 });
  if ((await statfs(path)).type === tmpfsType || (await readdir(path)).length > 0) return;
  try {
    mount('tmpfs', path, 0, { type: 'tmpfs', data: 'mode=0711' });
  } catch (error) {
    log.info('run-time files are kept on a disk', { path, error: messageOf(error) });
  }
}

/** Takes the mount away, with those below it. Does nothing where there is none of ours. */
export async function releaseMemoryFolder(path: string, parent: string): Promise<void> {
  const [inside, outside] = await Promise.all([statfs(path), statfs(parent)]);
  if (inside.type === tmpfsType && outside.type !== tmpfsType) unmount(path);
}
