/** What is mounted in this process's mount namespace. */
import { readFileSync } from 'node:fs';
import { mount, mountFlags } from '../network/syscalls.ts';

export interface MountInfo {
  readonly path: string;
  readonly isShared: boolean;
}

/** In the order in which they were mounted. */
export function mountTable(text = readFileSync('/proc/self/mountinfo', 'utf8')): MountInfo[] {
  return text.split('\n').flatMap((line) => {
    const [before = ''] = line.split(' - ');
    const fields = before.split(' ');
    const path = fields[4];
    if (path === undefined) return [];
    const isShared = fields.slice(6).some((word) => word.startsWith('shared:'));
    return [{ path: unescapeOctal(path), isShared }];
  });
}

export function isMounted(path: string, table = mountTable()): boolean {
  return table.some((one) => one.path === path);
}

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
export function mountOf(path: string, table: readonly MountInfo[]): MountInfo | undefined {
  const above = table.filter(
    (one) => one.path === '/' || path === one.path || path.startsWith(`${one.path}/`),
  );
  return above.toSorted((a, b) => a.path.length - b.path.length).at(-1);
}

/** mountinfo writes spaces and the like as three octal digits behind a backslash. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
