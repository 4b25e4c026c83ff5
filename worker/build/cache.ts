/** What earlier builds have left for later ones, in buildah's storage. The planner is pure. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, SwarmError } from '../../lib/errors.ts';
import type { Buildah } from './buildah.ts';

interface CacheEntry {
  readonly id: string;
  /** Whether a name stands for it: an image that was built on. */
  readonly isNamed: boolean;
  readonly createdAtMs: number;
}

export interface PruneRequest {
  /** Also the images that were built on. */
  readonly all: boolean;
  /** What was made at this moment or later stays. */
  readonly untilMs: number;
  /** Only these, by the beginnings of their ids; none: all. */
  readonly ids: readonly string[];
  /** The oldest go first, until the storage takes no more than this. */
  readonly keepBytes: number;
}

export interface Pruned {
  readonly ids: readonly string[];
  readonly freedBytes: number;
}

/** What may go, the oldest first. */
export function prunable(
  entries: readonly CacheEntry[],
  { all, untilMs, ids }: Pick<PruneRequest, 'all' | 'untilMs' | 'ids'>,
): readonly CacheEntry[] {
  const isAsked = ({ id }: CacheEntry) => ids.length === 0 || ids.some((one) => id.startsWith(one));
  return entries
    .filter((entry) => (all || !entry.isNamed) && entry.createdAtMs < untilMs && isAsked(entry))
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs);
}

export async function pruneCache(
  buildah: Buildah,
  request: PruneRequest,
  signal: AbortSignal,
): Promise<Pruned> {
  const before = await cacheEntries(buildah, signal);
  const beforeBytes = await sizeBytes(buildah.storage);
  const oldest = prunable(before, request);
  // A step stays for as long as another builds on it, and goes once that one is gone.
  if (request.keepBytes <= 0) await remove(buildah, oldest.toReversed(), signal);
  else await shrink(buildah, oldest, request.keepBytes, signal);
  const left = new Set((await cacheEntries(buildah, signal)).map(({ id }) => id));
  return {
    ids: before.map(({ id }) => id).filter((id) => !left.has(id)),
    freedBytes: Math.max(0, beforeBytes - (await sizeBytes(buildah.storage))),
  };
}

async function cacheEntries(buildah: Buildah, signal: AbortSignal): Promise<readonly CacheEntry[]> {
  const args = ['images', '--all', '--no-trunc', '--json'];
  const { code, output, lastError } = await buildah.run(args, { signal });
  if (code !== 0) throw new SwarmError('internal', `the build cache: ${lastError}`);
  const listed = JSON.parse(output.trim() === '' ? '[]' : output) as readonly ListedImage[] | null;
  return (listed ?? []).map(({ id, names, createdatraw }) => ({
    id: id.replace('sha256:', ''),
    isNamed: (names ?? []).length > 0,
    createdAtMs: Date.parse(createdatraw),
  }));
}

/** As `buildah images --json` has it. */
interface ListedImage {
  readonly id: string;
  readonly names: readonly string[] | null;
  readonly createdatraw: string;
}

/** Removes one after the other, of which each may free the next, until it is small enough. */
async function shrink(
  buildah: Buildah,
  oldest: readonly CacheEntry[],
  keepBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const left = new Set(oldest);
  for (let isFruitful = true; isFruitful;) {
    isFruitful = false;
    for (const entry of left) {
      if ((await sizeBytes(buildah.storage)) <= keepBytes) return;
      if (!(await remove(buildah, [entry], signal))) continue;
      left.delete(entry);
      isFruitful = true;
    }
  }
}

/** False where something of it is in use. */
async function remove(
  buildah: Buildah,
  entries: readonly CacheEntry[],
  signal: AbortSignal,
): Promise<boolean> {
  if (entries.length === 0) return true;
  const args = ['rmi', ...(entries.some(({ isNamed }) => isNamed) ? ['--force'] : [])];
  const ids = entries.map(({ id }) => id);
  const complaints: string[] = [];
  const { code, lastError } = await buildah.run([...args, ...ids], {
    signal,
    onLine: (line, stream) => {
      if (stream === 'stderr') complaints.push(line);
    },
  });
  if (code === 0) return true;
  const isUsed = [lastError, ...complaints].some((line) => /child|in use|used by/.test(line));
  if (isUsed) return false;
  throw new SwarmError('internal', `the build cache: ${lastError}`);
}

async function sizeBytes(path: string): Promise<number> {
  try {
    const about = await stat(path);
    if (!about.isDirectory()) return about.size;
    let sum = 0;
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (entry.isSymbolicLink()) continue;
      sum += await sizeBytes(join(path, entry.name));
    }
    return sum;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return 0;
    throw thrown;
  }
}
