/** Docker's driver `local`: folders of this host, and what mount(8) can mount in them. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import { isMounted } from '../../../lib/mount-table.ts';
import { unmount } from '../../network/syscalls.ts';
import { runProgram } from '../program.ts';
import type { VolumeDriver, VolumeRecord } from '../volume.ts';
import { checkName, checkOptions, mountArguments } from './options.ts';

/** A file server that does not answer must not keep a container waiting for ever. */
const mountTimeoutMs = 60_000;

export class LocalDriver implements VolumeDriver {
  readonly name = 'local';
  readonly scope = 'local';
  readonly #folder: string;

  /** `folder` has one for each volume, with its content in `_data`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async create({ name, options }: VolumeRecord): Promise<void> {
    checkName(name);
    checkOptions(options);
    await mkdir(this.#folder, { recursive: true, mode: 0o701 });
    await mkdir(join(this.#folder, name), { recursive: true, mode: 0o701 });
    await mkdir(this.#data(name), { recursive: true, mode: 0o755 });
  }

  async remove({ name }: VolumeRecord): Promise<void> {
    const path = this.#data(name);
    this.#unmountAll(path);
    // What is still mounted there is not ours to empty.
    if (isMounted(path)) {
      throw new SwarmError('failed-precondition', `${path} is still mounted`);
    }
    await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  async mount({ name, options }: VolumeRecord): Promise<string> {
    const path = this.#data(name);
    const words = mountArguments(options, path);
    // A folder that somebody has removed by hand is made again, as nothing else can be done.
    await mkdir(path, { recursive: true, mode: 0o755 });
    if (words === undefined || isMounted(path)) return path;
    try {
      await runProgram('mount', words, { timeoutMs: mountTimeoutMs });
    } catch (error) {
      throw new SwarmError(
        'failed-precondition',
        `error while mounting volume '${path}': failed to mount local volume: ${messageOf(error)}`,
        { cause: error },
      );
    }
    return path;
  }

  async unmount({ name, options }: VolumeRecord, _containerId: string, isLast: boolean) {
    const path = this.#data(name);
    if (isLast && mountArguments(options, path) !== undefined) this.#unmountAll(path);
  }

  path({ name }: VolumeRecord): string {
    return this.#data(name);
  }

  #data(name: string): string {
    return join(this.#folder, name, '_data');
  }

  #unmountAll(path: string): void {
    const mountsMax = 16;
    for (let count = 0; count < mountsMax && isMounted(path); count++) unmount(path);
  }
}
