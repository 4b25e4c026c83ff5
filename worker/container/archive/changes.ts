/** What a container has changed of its image: read off its writable layer. */
import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';
import { markTarget } from '../../runtime/container-mark.ts';
import { initTarget } from '../../runtime/oci/mounts.ts';
import { layersOf, type SnapshotMount } from '../../runtime/rootfs-file.ts';

const changeKinds = { modified: 0, added: 1, deleted: 2 } as const;

export interface FileChange {
  readonly path: string;
  readonly kind: (typeof changeKinds)[keyof typeof changeKinds];
}

/** What every container has of us or of the OCI runtime, which makes mount points. */
const ownPaths = [
  '/dev',
  '/proc',
  '/sys',
  '/etc/hosts',
  '/etc/hostname',
  '/etc/resolv.conf',
  initTarget,
  markTarget,
];

export async function changesOf(mounts: readonly SnapshotMount[]): Promise<readonly FileChange[]> {
  if (mounts[0]?.type !== 'overlay') {
    throw new SwarmError(
      'unimplemented',
      'changes can be told only where layers are on overlayfs: put the data root on ext4 or xfs',
    );
  }
  const [upper = '', ...lowers] = layersOf(mounts);
  return changesIn(upper, lowers, '', new Set(ownPaths));
}

/** `lowers`: those layers, topmost first, that have a directory at the path. */
async function changesIn(
  upper: string,
  lowers: readonly string[],
  path: string,
  hidden: ReadonlySet<string>,
): Promise<readonly FileChange[]> {
  const changes: FileChange[] = [];
  const names = await readdir(join(upper, path));
  for (const name of names.sort()) {
    const child = `${path}/${name}`;
    const stat = await statOf(join(upper, child));
    if (stat === undefined) continue;
    const found = await Promise.all(lowers.map((lower) => statOf(join(lower, child))));
    const before = visible(found);
    if (isWhiteout(stat)) {
      changes.push({ path: child, kind: changeKinds.deleted });
      continue;
    }
    const kind = before === undefined ? changeKinds.added : changeKinds.modified;
    if (!stat.isDirectory()) {
      if (!hidden.has(child) || kind === changeKinds.modified) changes.push({ path: child, kind });
      continue;
    }
    const below = await changesIn(upper, directoriesOf(lowers, found), child, hidden);
    const isUnchanged =
      kind === changeKinds.modified ? sameOwner(stat, before) : isMountPoint(child, hidden);
    if (below.length > 0 || !isUnchanged) changes.push({ path: child, kind });
    changes.push(...below);
  }
  return changes;
}

/** What the lower layers together show: the topmost, unless it is marked as deleted. */
function visible(found: readonly (Stats | undefined)[]): Stats | undefined {
  const first = found.find((stat) => stat !== undefined);
  return first === undefined || isWhiteout(first) ? undefined : first;
}

/** Down to the first layer in which something else, or nothing any more, is in its place. */
function directoriesOf(
  lowers: readonly string[],
  found: readonly (Stats | undefined)[],
): readonly string[] {
  const end = found.findIndex((stat) => stat !== undefined && !stat.isDirectory());
  return lowers.filter((_, index) => (end < 0 || index < end) && found[index] !== undefined);
}

/** A directory that is there only for what is mounted at it, or below it. */
function isMountPoint(path: string, hidden: ReadonlySet<string>): boolean {
  return hidden.has(path) || [...hidden].some((one) => one.startsWith(`${path}/`));
}

function sameOwner(stat: Stats, before: Stats | undefined): boolean {
  return stat.mode === before?.mode && stat.uid === before.uid && stat.gid === before.gid;
}

/** Overlayfs marks what a layer deletes by a character device 0:0. */
function isWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0;
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
