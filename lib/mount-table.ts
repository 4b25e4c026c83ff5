/** What is mounted in this process's mount namespace. */
import { readFileSync } from 'node:fs';

export interface MountInfo {
  readonly path: string;
  readonly isShared: boolean;
  /** What is mounted below it elsewhere appears here as well. */
  readonly isSlave: boolean;
}

/** In the order in which they were mounted. */
export function mountTable(text = readFileSync('/proc/self/mountinfo', 'utf8')): MountInfo[] {
  return text.split('\n').flatMap((line) => {
    const [before = ''] = line.split(' - ');
    const fields = before.split(' ');
    const path = fields[4];
    if (path === undefined) return [];
    const hasPeers = (kind: string) => fields.slice(6).some((word) => word.startsWith(`${kind}:`));
    const [isShared, isSlave] = [hasPeers('shared'), hasPeers('master')];
    return [{ path: unescapeOctal(path), isShared, isSlave }];
  });
}

/** Something is mounted at this very path. */
export function isMounted(path: string, table: readonly MountInfo[] = mountTable()): boolean {
  return table.some((one) => one.path === path);
}

/** The mount that the path is on: the deepest, and of those the last. */
export function mountOf(path: string, table: readonly MountInfo[]): MountInfo | undefined {
  const above = table.filter(
    (one) => one.path === '/' || path === one.path || path.startsWith(`${one.path}/`),
  );
  return above.toSorted((a, b) => a.path.length - b.path.length).at(-1);
}

/** Spaces and the like are three octal digits behind a backslash. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
