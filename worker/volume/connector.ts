/** Which containers have which volumes mounted. */
import { readdir } from 'node:fs/promises';
import { KeyedMutex } from '../../lib/concurrency.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Mount } from '../../types/index.ts';
import type { ImageRootfs, PinnedMount } from '../runtime/runtime.ts';
import { nameFor } from './anonymous.ts';
import type { Drivers } from './drivers.ts';
import type { ImageContent } from './image-content.ts';
import type { Parts } from './parts.ts';
import type { VolumeEvents } from './volume-events.ts';
import type { VolumeRecord } from './volume.ts';

export interface ConnectRequest {
  readonly containerId: string;
  readonly mounts: readonly PinnedMount[];
  /** What empty volumes are filled from. */
  readonly image: ImageRootfs;
}

interface ConnectorDeps {
  readonly drivers: Drivers;
  readonly content: ImageContent;
  readonly parts: Parts;
  readonly events: VolumeEvents;
  readonly log: Logger;
  readonly shownId: (containerId: string) => string;
  readonly find: (name: string) => VolumeRecord | undefined;
}

/** `quietly`: it is over before anybody could have noticed. */
interface Telling {
  readonly quietly?: boolean;
}

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
      for (const mount of mounts) {
        if (mount.type === 'volume') connected.push(await this.#connect(request, mount, telling));
        else if (mount.type === 'image') connected.push(await this.#image(mount, containerId));
        else connected.push(mount);
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
      const spot = { containerId, target: mount.target };
      const source = subpath ? await this.#deps.parts.ofVolume(whole, subpath, spot) : whole;
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

  /** As its image was when the container was made, whatever has the name by now. */
  async #image(mount: PinnedMount, containerId: string): Promise<Mount> {
    const { imageOptions, pinned, target } = mount;
    if (pinned === undefined) {
      throw new SwarmError('internal', `nobody has found the image that is mounted at ${target}`);
    }
    const subpath = imageOptions?.subpath;
    const source = await this.#deps.parts.ofImage(pinned.rootfs, subpath, { containerId, target });
    return { type: 'bind', source, target, readOnly: true };
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
    await this.#deps.parts.drop(containerId);
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
}
