/** The file systems of containers, for as long as somebody works in them. */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { unmount } from '../../network/syscalls.ts';
import { mountSnapshot } from '../../runtime/mount-snapshot.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Target } from '../manager.ts';

interface Rootfs {
  /** A path that stays the container's root whatever becomes of its process. */
  readonly path: string;
  /** Nothing of the host or of other file systems is mounted in it. */
  readonly isBare: boolean;
}

export class Views {
  readonly #folder: string;
  readonly #runtime: Runtime;
  readonly #log: Logger;

  constructor(folder: string, runtime: Runtime, log: Logger) {
    this.#folder = folder;
    this.#runtime = runtime;
    this.#log = log;
  }

  /** Takes away what a daemon that was killed had mounted. */
  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder)) await this.#dismount(join(this.#folder, name));
  }

  /**
   * The file system as the container's processes see it, or, where none runs, its layers: it cannot
   * start meanwhile.
   */
  async within<T>(target: Target, work: (root: Rootfs) => Promise<T>): Promise<T> {
    const { own, view } = target;
    const running = await this.#ofProcess(view.runtimeId);
    if (running !== undefined) {
      try {
        return await work({ path: `/proc/self/fd/${running.fd}/.`, isBare: false });
      } finally {
        await running.close();
      }
    }
    if (own === undefined) {
      throw new SwarmError('aborted', `container ${view.record.name} is not running`);
    }
    return own.lock.run(() => this.#mounted(own.id, work));
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

  async #mounted<T>(id: string, work: (root: Rootfs) => Promise<T>): Promise<T> {
    const folder = join(this.#folder, id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const one of await this.#runtime.layers.mounts(id)) {
      mountSnapshot(one, folder, { readOnly: false });
    }
    try {
      return await work({ path: folder, isBare: true });
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
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
