/**
 * Folders at paths that people have named, with what is missing above them. Node's own recursive
 * way goes round for ever, on a whole processor and past all signals, where a file system calls a
 * folder missing that it lets nobody make, as /proc does.
 */
import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './errors.ts';

const allMay = 0o777;

/** Throws what mkdir(2) says of the first that cannot be made. */
export async function makeFolders(path: string, mode = allMay): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (!lacksParent(error, path)) throw error;
    await makeFolders(dirname(path), mode);
    await mkdir(path, { mode });
  }
}

/** The same, for what cannot go on before. */
export function makeFoldersSync(path: string, mode = allMay): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && statSync(path).isDirectory()) return;
    if (!lacksParent(error, path)) throw error;
    makeFoldersSync(dirname(path), mode);
    mkdirSync(path, { mode });
  }
}

function lacksParent(error: unknown, path: string): boolean {
  return errnoOf(error) === 'ENOENT' && dirname(path) !== path;
}
