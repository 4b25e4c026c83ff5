/** What a volume takes on the disk. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';

/** Bytes of all files below the folder, each counted once however many names it has. */
export async function sizeBytes(folder: string): Promise<number> {
  const seen = new Set<number>();
  const waiting = [folder];
  let sum = 0;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of await entriesOf(path)) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) {
        waiting.push(inner);
        continue;
      }
      const stat = await statOf(inner);
      if (stat === undefined || seen.has(stat.ino)) continue;
      if (stat.nlink > 1) seen.add(stat.ino);
      sum += stat.size;
    }
  }
  return sum;
}

/** What is removed meanwhile takes nothing. */
async function entriesOf(path: string) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

async function statOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR';
}
