/** The volumes' folder, seen by a containerd in a mount namespace of its own. */
import { isMounted, mountOf, mountTable } from '../../lib/mount-table.ts';
import { mount, mountFlags } from '../network/syscalls.ts';

/**
 * Makes sure that what is mounted below the folder later is also seen by a containerd in a mount
 * namespace of its own. Must come before that is started.
 */
export function shareFolder(folder: string): void {
  const table = mountTable();
  if (isMounted(folder, table) || mountOf(folder, table)?.isShared) return;
  mount(folder, folder, mountFlags.bind);
  mount('none', folder, mountFlags.shared);
}
