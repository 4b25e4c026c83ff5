/** `docker cp`, `diff` and `export`: files in and out of containers, running or not. */
import { posix } from 'node:path';
import { readlink } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { SwarmError } from '../../../lib/errors.ts';
import type { SnapshotMount } from '../../runtime/rootfs-file.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { ownOf, type Target } from '../manager.ts';
import { changesOf, type FileChange } from './changes.ts';
import { packed } from './pack.ts';
import { locate, wayTo, type Located } from './root.ts';
import { unpack } from './unpack.ts';
import type { Views } from './views.ts';

export interface PathStat {
  readonly name: string;
  readonly stat: Stats;
  /** Of a link: where it leads, from the container's root. */
  readonly linkTarget: string;
}

export class Archives {
  readonly #views: Views;
  readonly #runtime: Runtime;

  constructor(views: Views, runtime: Runtime) {
    this.#views = views;
    this.#runtime = runtime;
  }

  /** Throws `not-found` in Docker's words. */
  stat(target: Target, path: string): Promise<PathStat> {
    return this.#views.within(target, async (root) => {
      await using located = await find(root.path, path, target);
      return await statOf(located, path);
    });
  }

  /** `take` gets what the path is, and the chunks of a tar of it. */
  read(
    target: Target,
    path: string,
    take: (stat: PathStat, chunks: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    return this.#views.within(target, async (root) => {
      await using located = await find(root.path, path, target);
      const name = /(?:^|\/)\.$/.test(path) ? '.' : posix.basename(posix.join('/', path));
      await take(await statOf(located, path), packed(located, { name: name || '.' }));
    });
  }

  /** Unpacks a tar in a directory of the container's. */
  write(
    target: Target,
    path: string,
    source: AsyncIterable<Uint8Array>,
    options: { readonly keepsKinds: boolean },
  ): Promise<void> {
    return this.#views.within(target, async (root) => {
      let folder: string;
      {
        await using located = await find(root.path, path, target, true);
        if (!located.stat?.isDirectory()) {
          throw new SwarmError('invalid-argument', 'extraction point is not a directory');
        }
        folder = located.path === '/' ? '' : located.path;
      }
      const why = await whyReadOnly(root.path, folder, target.view);
      if (why !== undefined) throw new SwarmError('permission-denied', why);
      await unpack(root.path, folder, source, options);
    });
  }

  export(target: Target, take: (chunks: AsyncIterable<Uint8Array>) => Promise<void>) {
    return this.#views.withinLayers(target, async (root) => {
      await using located = await locate(root.path, '/');
      await take(packed(located, { name: '', oneFileSystem: true }));
    });
  }

  /** What to mount for the container's file system: its layer on those of its image. */
  layerMounts(target: Target): Promise<readonly SnapshotMount[]> {
    return this.#runtime.layers.mounts(ownOf(target, 'read by its layers').id);
  }

  async changes(target: Target): Promise<readonly FileChange[]> {
    const own = ownOf(target, 'compared with its image');
    return changesOf(await this.#runtime.layers.mounts(own.id));
  }
}

/** Docker's words where nothing can be written; undefined where it can. */
async function whyReadOnly(
  root: string,
  folder: string,
  { record, mounts }: Target['view'],
): Promise<string | undefined> {
  let nearest: { readonly path: string; readonly isReadOnly: boolean } | undefined;
  for (const { mount, image } of mounts) {
    const path = await resolved(root, mount.target);
    if (folder !== path && !folder.startsWith(`${path}/`)) continue;
    if (nearest !== undefined && nearest.path.length >= path.length) continue;
    nearest = { path, isReadOnly: mount.readOnly === true || image !== undefined };
  }
  if (nearest?.isReadOnly) return 'mounted volume is marked read-only';
  if (nearest !== undefined || !record.host.readonlyRootfs) return undefined;
  return 'container rootfs is marked read-only';
}

async function resolved(root: string, path: string): Promise<string> {
  try {
    await using located = await locate(root, path, { followLast: true });
    return located.path;
  } catch (error) {
    // What is mounted only while the container runs has no place before.
    if (SwarmError.from(error).code !== 'not-found') throw error;
    return posix.resolve('/', path);
  }
}

async function find(
  root: string,
  path: string,
  { view }: Target,
  followLast = path.endsWith('/') || path.endsWith('/.'),
): Promise<Located> {
  const missing = () =>
    new SwarmError('not-found', `Could not find the file ${path} in container ${view.record.name}`);
  let located: Located;
  try {
    located = await locate(root, path, { followLast });
  } catch (error) {
    if (SwarmError.from(error).code === 'not-found') throw missing();
    throw error;
  }
  if (located.stat !== undefined) return located;
  await located[Symbol.asyncDispose]();
  throw missing();
}

async function statOf(located: Located, path: string): Promise<PathStat> {
  const { stat } = located;
  if (stat === undefined) throw new SwarmError('not-found', `${path} is gone`);
  const name = posix.basename(posix.join('/', path)) || '/';
  if (!stat.isSymbolicLink()) return { name, stat, linkTarget: '' };
  const linkTarget = posix.resolve(posix.dirname(located.path), await readlink(wayTo(located)));
  return { name, stat, linkTarget };
}
