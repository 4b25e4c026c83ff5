/** The file systems of containers, for as long as somebody works in them. */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Mount } from '../../../types/index.ts';
import { mount, mountFlags, unmount } from '../../network/syscalls.ts';
import { mountSnapshot } from '../../runtime/mount-snapshot.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Volumes } from '../../volume/index.ts';
import { wantedMounts } from '../connections.ts';
import type { Target } from '../manager.ts';
import type { Standalone } from '../standalone.ts';
import { locateMaking, wayTo } from './root.ts';

interface Rootfs {
  /** A path that stays the container's root whatever becomes of its process. */
  readonly path: string;
}

type Work<T> = (root: Rootfs) => Promise<T>;

export class Views {
  readonly #folder: string;
  readonly #runtime: Runtime;
  readonly #volumes: Pick<Volumes, 'during'>;
  readonly #log: Logger;

  constructor(
    folder: string,
    { runtime, volumes, log }: { runtime: Runtime; volumes: Pick<Volumes, 'during'>; log: Logger },
  ) {
    this.#folder = folder;
    this.#runtime = runtime;
    this.#volumes = volumes;
    this.#log = log;
  }

  /** Takes away what a daemon that was killed had mounted. */
  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder)) await this.#dismount(join(this.#folder, name));
  }

  /**
   * The file system as the container's processes see it, or, where none runs, its layers with its
   * volumes and binds: it cannot start meanwhile.
   */
  within<T>(target: Target, work: Work<T>): Promise<T> {
    return this.#within(target, work, (own) => {
      const { id, rootfs: image } = own.record;
      const request = { containerId: id, mounts: wantedMounts(own.record), image };
      return this.#volumes.during(request, (mounts) => this.#mounted(id, mounts, work));
    });
  }

  /** The same, of which only what is the container's own is wanted. */
  withinLayers<T>(target: Target, work: Work<T>): Promise<T> {
    return this.#within(target, work, ({ id }) => this.#mounted(id, [], work));
  }

  async #within<T>(
    { own, view }: Target,
    work: Work<T>,
    whileStopped: (own: Standalone) => Promise<T>,
  ): Promise<T> {
    const running = await this.#ofProcess(view.runtimeId);
    if (running !== undefined) {
      try {
        return await work({ path: `/proc/self/fd/${running.fd}/.` });
      } finally {
        await running.close();
      }
    }
    if (own === undefined) {
      throw new SwarmError('aborted', `container ${view.record.name} is not running`);
    }
    return own.lock.run(() => whileStopped(own));
  }

  async #ofProcess(id: string) {
    const before = await this.#runtime.inspect(id);
    if (before === undefined || before.pid <= 1) return undefined;
    try {
      const handle = await open(`/proc/${before.pid}/root`, constants.O_DIRECTORY);
      // The process may have ended, and its number be another's.
      const after = await this.#runtime.inspect(id);
      if (after?.pid === before.pid) return handle;
      await handle.close();
    } catch (error) {
      this.#log.debug('a container ended as its files were to be read', {
        containerId: id,
        error: messageOf(error),
      });
    }
    return undefined;
  }

  async #mounted<T>(id: string, mounts: readonly Mount[], work: Work<T>): Promise<T> {
    const folder = join(this.#folder, id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const one of await this.#runtime.layers.mounts(id)) {
      mountSnapshot(one, folder, { readOnly: false });
    }
    try {
      const depth = ({ target }: Mount) => target.split('/').length;
      for (const one of mounts.toSorted((a, b) => depth(a) - depth(b))) {
        // What is in memory has nothing in it while nothing runs.
        if (one.type === 'bind') await bind(folder, one);
      }
      return await work({ path: folder });
    } finally {
      await this.#dismount(folder);
    }
  }

  async #dismount(folder: string): Promise<void> {
    try {
      unmount(folder);
    } catch (error) {
      this.#log.debug('nothing was mounted', { folder, error: messageOf(error) });
    }
    try {
      // Never with what is in it: were it still mounted, that would be the container's, or the host's.
      await rmdir(folder);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      this.#log.warn('a view of a container is left behind', { folder, error: messageOf(error) });
    }
  }
}

/** The place is made where the image has none, as a start would make it. */
async function bind(root: string, { source = '', target }: Mount): Promise<void> {
  const isFolder = (await stat(source)).isDirectory();
  const path = target.replace(/\/+$/, '');
  await using located = await locateMaking(root, path, { followLast: true });
  const way = wayTo(located);
  if (located.stat === undefined) await (isFolder ? mkdir(way) : writeFile(way, ''));
  const { bind: bound, recursive, isPrivate } = mountFlags;
  mount(source, way, bound | recursive);
  // Else unmounting it here would unmount on the host what is mounted below it.
  mount('none', way, isPrivate | recursive);
}
