/** Reads a file of an image through the directories of its layers, without mounting anything. */
import { lstat, open, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';

/** Mounts as the snapshotter describes them. */
export interface SnapshotMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

const linksMax = 40;
const fileBytesMax = 1024 * 1024;

/** The layers of a snapshot, topmost first. */
export function layersOf(mounts: readonly SnapshotMount[]): readonly string[] {
  const [mount] = mounts;
  if (mount === undefined) return [];
  if (mount.type !== 'overlay') return [mount.source];
  const option = (name: string) =>
    mount.options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const upper = option('upperdir');
  return [...(upper === undefined ? [] : [upper]), ...(option('lowerdir')?.split(':') ?? [])];
}

/**
 * The file's text, empty where there is none. Links are followed inside the image only: what an
 * image's author made of /etc must not lead to a file of the host.
 */
export async function readRootfsFile(layers: readonly string[], path: string): Promise<string> {
  let rest = path.split('/').filter((part) => part !== '');
  let at: string[] = [];
  let links = 0;
  for (;;) {
    const part = rest.shift();
    if (part === undefined) return '';
    if (part === '..') at = at.slice(0, -1);
    if (part === '..' || part === '.') continue;
    const found = await lookUp(layers, [...at, part]);
    if (found === undefined || found.whiteout) return '';
    if (found.target !== undefined) {
      if (++links > linksMax) return '';
      if (found.target.startsWith('/')) at = [];
      rest = [...found.target.split('/').filter((name) => name !== ''), ...rest];
    } else if (rest.length === 0) {
      return found.regular ? readText(found.path) : '';
    } else {
      at.push(part);
    }
  }
}

interface Entry {
  readonly path: string;
  readonly regular: boolean;
  readonly whiteout: boolean;
  /** Where it points, for a link. */
  readonly target?: string;
}

async function lookUp(
  layers: readonly string[],
  parts: readonly string[],
): Promise<Entry | undefined> {
  for (const layer of layers) {
    const path = join(layer, ...parts);
    try {
      const stat = await lstat(path);
      return {
        path,
        regular: stat.isFile(),
        // Overlayfs marks what a layer deletes by a character device 0:0.
        whiteout: stat.isCharacterDevice() && stat.rdev === 0,
        ...(stat.isSymbolicLink() ? { target: await readlink(path) } : {}),
      };
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw error;
    }
  }
  return undefined;
}

async function readText(path: string): Promise<string> {
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(fileBytesMax);
  const { bytesRead } = await file.read(buffer, 0, fileBytesMax, 0);
  return buffer.toString('utf8', 0, bytesRead);
}
