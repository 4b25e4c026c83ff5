/** The volumes' folder, seen by a containerd in a mount namespace of its own. */
import { isMounted, mountTable, type MountInfo } from '../../lib/mount-table.ts';
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

/** The mount that the path is on: the deepest, and of those the last. */
function mountOf(path: string, table: readonly MountInfo[]): MountInfo | undefined {
  const above = table.filter(
    (one) => one.path === '/' || path === one.path || path.startsWith(`${one.path}/`),
  );
  return above.toSorted((a, b) => a.path.length - b.path.length).at(-1);
}
