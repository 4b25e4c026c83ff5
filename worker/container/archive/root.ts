/**
 * Paths inside a container's file system. Every step is taken from an open directory, and follows
 * no link that the kernel would follow by itself: what a container makes of its links, also in the
 * very moment, never leads to a file of the host.
 */
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readlink, type FileHandle } from 'node:fs/promises';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';

const linksMax = 40;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** An entry of a directory that is held open. */
export interface Located extends AsyncDisposable {
  readonly directory: FileHandle;
  /** Of the entry in it; empty for the root itself. */
  readonly name: string;
  /** From the container's root, without links: "/etc/hosts". */
  readonly path: string;
  /** Absent where there is none. */
  readonly stat: Stats | undefined;
}

/** A way to the entry that leads through the open directory. */
export function wayTo({ directory, name }: Pick<Located, 'directory' | 'name'>): string {
  return name === '' ? `/proc/self/fd/${directory.fd}/.` : `/proc/self/fd/${directory.fd}/${name}`;
}

interface Step {
  readonly name: string;
  readonly handle: FileHandle;
}

/**
 * Finds a path. Its last part may be missing, and is not followed if it is a link, unless asked.
 * Throws `not-found` where a directory on the way is missing.
 */
export async function locate(
  root: string,
  path: string,
  options: { readonly followLast: boolean } = { followLast: false },
): Promise<Located> {
  const steps: Step[] = [{ name: '', handle: await open(root, constants.O_DIRECTORY) }];
  let links = 0;
  try {
    let rest = partsOf(path);
    for (;;) {
      const part = rest.shift();
      const top = steps.at(-1);
      if (top === undefined) throw new SwarmError('internal', 'a way without a beginning');
      if (part === undefined) return await located(steps, '', path);
      if (part === '..') {
        if (steps.length > 1) await steps.pop()?.handle.close();
        continue;
      }
      const way = wayTo({ directory: top.handle, name: part });
      const stat = await statIfThere(way);
      const isLast = rest.length === 0;
      if (stat?.isSymbolicLink() && (!isLast || options.followLast)) {
        if (++links > linksMax) {
          throw new SwarmError('invalid-argument', `too many links on the way to ${path}`);
        }
        const target = await readlink(way);
        if (target.startsWith('/')) await closeDown(steps, 1);
        rest = [...partsOf(target), ...rest];
        continue;
      }
      if (isLast && !stat?.isDirectory()) return await located(steps, part, path);
      if (stat === undefined) throw missing(path);
      if (!stat.isDirectory()) throw notDirectory(path);
      steps.push({ name: part, handle: await open(way, directoryFlags) });
    }
  } catch (error) {
    await closeDown(steps, 0);
    throw error;
  }
}

/** The same; directories on the way that are not there are made. */
export async function locateMaking(
  root: string,
  path: string,
  options: { readonly followLast: boolean } = { followLast: false },
): Promise<Located> {
  try {
    return await locate(root, path, options);
  } catch (error) {
    if (SwarmError.from(error).code !== 'not-found') throw error;
  }
  const parent = path.slice(0, path.lastIndexOf('/'));
  await using above = await locateMaking(root, parent);
  if (above.stat === undefined) await mkdir(wayTo(above), { mode: 0o755 });
  return locate(root, path, options);
}

/** The last of the steps as the entry itself, or the entry of that name in the last one. */
async function located(steps: Step[], name: string, path: string): Promise<Located> {
  const names = steps.slice(1).map((step) => step.name);
  if (name === '' && steps.length > 1) {
    // A directory is told of by its parent, as everything else is.
    const [parent, last] = [steps.at(-2), steps.at(-1)];
    if (parent === undefined || last === undefined) throw missing(path);
    const stat = await last.handle.stat();
    return entryOf(parent.handle, last.name, names, stat, steps);
  }
  const directory = steps.at(-1)?.handle;
  if (directory === undefined) throw missing(path);
  const stat = name === '' ? await directory.stat() : await statIfThere(wayTo({ directory, name }));
  return entryOf(directory, name, name === '' ? names : [...names, name], stat, steps);
}

function entryOf(
  directory: FileHandle,
  name: string,
  names: readonly string[],
  stat: Stats | undefined,
  steps: Step[],
): Located {
  return {
    directory,
    name,
    path: `/${names.join('/')}`,
    stat,
    [Symbol.asyncDispose]: () => closeDown(steps, 0),
  };
}

async function closeDown(steps: Step[], keep: number): Promise<void> {
  for (const { handle } of steps.splice(keep)) await handle.close();
}

export async function statIfThere(way: string): Promise<Stats | undefined> {
  try {
    return await lstat(way);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Opens an entry that is known to be a directory. */
export function openDirectory(way: string): Promise<FileHandle> {
  return open(way, directoryFlags);
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function missing(path: string): SwarmError {
  return new SwarmError('not-found', `${path}: no such file or directory`);
}

function notDirectory(path: string): SwarmError {
  return new SwarmError('not-found', `${path}: not a directory`);
}
