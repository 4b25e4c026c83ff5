/** Secrets and configs as files that never touch a disk: a tmpfs for each container. */
import { chmod, chown, mkdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';
import { mount, mountFlags, SyscallError, errno, unmount } from '../network/syscalls.ts';
import type { ContainerConfig } from '../runtime/runtime.ts';
import type { TaskFile } from '../task/index.ts';

const pageBytes = 4096;
/** For the folder itself. */
const spareBytes = 64 * 1024;

export class FileMounts {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Throws where no file system in memory can be made: no content is ever put on a disk. */
  async write(
    containerId: string,
    files: readonly TaskFile[],
  ): Promise<ContainerConfig['files'][number][]> {
    await this.remove(containerId);
    if (files.length === 0) return [];
    const folder = join(this.#folder, containerId);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const sizes = files.map(({ content }) => Math.ceil(content.length / pageBytes) * pageBytes);
    mountInMemory(
      folder,
      sizes.reduce((sum, bytes) => sum + bytes, spareBytes),
    );
    return Promise.all(
      files.map(async ({ content, target, uid, gid, mode }, index) => {
        const source = join(folder, String(index));
        await writeFile(source, content, { mode: 0o600 });
        await chown(source, uid, gid);
        await chmod(source, mode);
        return { source, target, readOnly: true };
      }),
    );
  }

  /** Also of a container that has none. One that still runs keeps what it has. */
  async remove(containerId: string): Promise<void> {
    const folder = join(this.#folder, containerId);
    try {
      // A mount of ours is another device than the folder that it is in.
      const [inside, outside] = await Promise.all([stat(folder), stat(this.#folder)]);
      if (inside.dev !== outside.dev) unmount(folder);
      await rmdir(folder);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** Not even in the swap, where the kernel can promise that (since 6.4). */
function mountInMemory(folder: string, bytes: number): void {
  const flags = mountFlags.noSuid | mountFlags.noDevices | mountFlags.noExec;
  const data = `mode=0700,size=${bytes}`;
  try {
    mount('tmpfs', folder, flags, { type: 'tmpfs', data: `${data},noswap` });
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== errno.invalid) throw error;
    mount('tmpfs', folder, flags, { type: 'tmpfs', data });
  }
}
