/** Which containers have which volumes mounted. */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Mount } from '../../types/index.ts';
import { locate, wayTo } from '../container/archive/root.ts';
import { KeyedMutex } from '../image/concurrency.ts';
import { mount as mountNow, mountFlags, unmount } from '../network/syscalls.ts';
import type { ImageRootfs } from '../runtime/runtime.ts';
import { nameFor } from './anonymous.ts';
import type { Drivers } from './drivers.ts';
import type { ImageContent } from './image-content.ts';
import type { VolumeEvents } from './volume-events.ts';
import type { VolumeRecord } from './volume.ts';

export interface ConnectRequest {
  readonly containerId: string;
  readonly mounts: readonly Mount[];
  /** What empty volumes are filled from. */
  readonly image: ImageRootfs;
}

interface ConnectorDeps {
  readonly drivers: Drivers;
  readonly content: ImageContent;
  readonly partsFolder: string;
  readonly events: VolumeEvents;
  readonly log: Logger;
  readonly shownId: (containerId: string) => string;
  readonly find: (name: string) => VolumeRecord | undefined;
}

/** `quietly`: it is over before anybody could have noticed. */
interface Telling {
  readonly quietly?: boolean;
}

/** O_PATH, which node:fs does not name: the entry itself, whatever it is. */
const openPath = 0o10000000;

export class Connector {
  readonly #deps: ConnectorDeps;
  readonly #locks = new KeyedMutex();
  /** The containers that have it mounted, by volume. */
  readonly #holders = new Map<string, Set<string>>();

  constructor(deps: ConnectorDeps) {
    this.#deps = deps;
  }

  named(containerId: string, mount: Mount): Mount {
    if (mount.type !== 'volume' || mount.source) return mount;
    return { ...mount, source: nameFor(containerId, mount.target) };
  }

  async connect(request: ConnectRequest, telling: Telling = {}): Promise<readonly Mount[]> {
    const { containerId, mounts } = request;
    const connected: Mount[] = [];
    try {
      for (const [index, mount] of mounts.entries()) {
        connected.push(
          mount.type === 'volume' ? await this.#connect(request, index, mount, telling) : mount,
        );
      }
    } catch (error) {
      await this.#afterFailure(containerId, telling);
      throw error;
    }
    return connected;
  }

  async #afterFailure(containerId: string, telling: Telling): Promise<void> {
    try {
      await this.disconnect(containerId, telling);
    } catch (error) {
      // The failure itself is what its caller is told.
      this.#deps.log.error('the volumes of a container could not be let go', {
        containerId,
        error: messageOf(error),
      });
    }
  }

  #connect(
    { containerId, image }: ConnectRequest,
    index: number,
    mount: Mount,
    { quietly }: Telling,
  ): Promise<Mount> {
    const name = mount.source ?? '';
    return this.#locks.run(name, async () => {
      const record = this.#deps.find(name);
      if (record === undefined) throw new SwarmError('not-found', `get ${name}: no such volume`);
      const driver = await this.#deps.drivers.get(record.driver);
      const whole = await driver.mount(record, containerId);
      this.#hold(name, containerId);
      const { noCopy, subpath } = mount.volumeOptions ?? {};
      if (!noCopy && !subpath) await this.#fill(whole, image, mount, name);
      const source = subpath ? await this.#part(whole, subpath, containerId, index) : whole;
      if (!quietly) {
        this.#deps.events.tell('mount', name, {
          container: this.#deps.shownId(containerId),
          destination: mount.target,
          driver: record.driver,
          propagation: '',
          'read/write': String(!mount.readOnly),
        });
      }
      const { volumeOptions: _options, ...rest } = mount;
      return { ...rest, type: 'bind', source };
    });
  }

  async #fill(folder: string, image: ImageRootfs, { target }: Mount, key: string): Promise<void> {
    if ((await readdir(folder)).length > 0) return;
    await this.#deps.content.copy(image, target, folder, key);
  }

  /**
   * A part of a volume, held fast by a mount of its own: whoever shares the volume could otherwise
   * put a link to a folder of the host in its place.
   */
  async #part(whole: string, subpath: string, containerId: string, index: number): Promise<string> {
    await using located = await this.#located(whole, subpath);
    const flags = constants.O_NOFOLLOW | openPath;
    await using handle = await open(wayTo(located), flags);
    const target = join(this.#deps.partsFolder, containerId, String(index));
    if (located.stat?.isDirectory()) {
      await mkdir(target, { recursive: true, mode: 0o700 });
    } else {
      await mkdir(join(target, '..'), { recursive: true, mode: 0o700 });
      await (await open(target, 'w', 0o600)).close();
    }
    mountNow(`/proc/self/fd/${handle.fd}`, target, mountFlags.bind);
    return target;
  }

  async #located(whole: string, subpath: string) {
    const missing = () =>
      new SwarmError(
        'invalid-argument',
        `cannot access path ${join(whole, subpath)}: no such file or directory`,
      );
    let located: Awaited<ReturnType<typeof locate>>;
    try {
      located = await locate(whole, subpath, { followLast: true });
    } catch (error) {
      if (SwarmError.from(error).code === 'not-found') throw missing();
      throw error;
    }
    if (located.stat !== undefined) return located;
    await located[Symbol.asyncDispose]();
    throw missing();
  }

  adopt(containerId: string, mounts: readonly Mount[]): void {
    for (const { type, source } of mounts) {
      if (type === 'volume' && source) this.#hold(source, containerId);
    }
  }

  #hold(name: string, containerId: string): void {
    const holders = this.#holders.get(name) ?? new Set();
    this.#holders.set(name, holders.add(containerId));
  }

  /**
   * A driver that fails, or is gone, is only told of: neither the end of a container nor its
   * removal waits for it.
   */
  async disconnect(containerId: string, telling: Telling = {}): Promise<void> {
    const names = [...this.#holders].filter(([, holders]) => holders.has(containerId));
    if (names.length === 0) return;
    await this.#dropParts(containerId);
    for (const [name] of names) {
      await this.#locks.run(name, () => this.#release(name, containerId, telling));
    }
  }

  async #release(name: string, containerId: string, { quietly }: Telling): Promise<void> {
    const holders = this.#holders.get(name);
    const record = this.#deps.find(name);
    if (holders === undefined || record === undefined) {
      this.#holders.delete(name);
      return;
    }
    const isLast = [...holders].every((id) => id === containerId);
    try {
      const driver = await this.#deps.drivers.get(record.driver);
      await driver.unmount(record, containerId, isLast);
    } catch (error) {
      this.#deps.log.error('a volume could not be unmounted', {
        containerId,
        volume: name,
        driver: record.driver,
        error: messageOf(error),
      });
    }
    holders.delete(containerId);
    if (holders.size === 0) this.#holders.delete(name);
    if (quietly) return;
    const container = this.#deps.shownId(containerId);
    this.#deps.events.tell('unmount', name, { container, driver: record.driver });
  }

  async #dropParts(containerId: string): Promise<void> {
    const folder = join(this.#deps.partsFolder, containerId);
    let names: readonly string[];
    try {
      names = await readdir(folder);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw error;
    }
    for (const name of names) unmount(join(folder, name));
    await rm(folder, { recursive: true, force: true });
  }
}
