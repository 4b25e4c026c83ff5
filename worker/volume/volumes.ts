/** The volumes of this node: made, listed, connected with containers, and removed. */
import type { Clock, Timer } from '../../lib/clock.ts';
import { KeyedMutex } from '../../lib/concurrency.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { staysOnNode, type Mount } from '../../types/index.ts';
import { randomName } from './anonymous.ts';
import type { PinnedMount } from '../runtime/runtime.ts';
import { Connector, type ConnectRequest } from './connector.ts';
import type { Drivers } from './drivers.ts';
import type { ImageContent } from './image-content.ts';
import type { Parts } from './parts.ts';
import type { VolumeRecords } from './records.ts';
import { sizeBytes } from './size.ts';
import { VolumeEvents } from './volume-events.ts';
import {
  anonymousLabel,
  isAnonymous,
  type MountView,
  type Volume,
  type VolumeRecord,
  type VolumeRequest,
} from './volume.ts';

/** A container, running or not, and the volumes that it was made with. */
export interface VolumeUser {
  /** As Docker shows it. */
  readonly id: string;
  readonly mounts: readonly Mount[];
}

export interface VolumesDeps {
  readonly records: VolumeRecords;
  readonly drivers: Drivers;
  readonly content: ImageContent;
  readonly parts: Parts;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A node whose volumes have longer names in all tells of the first ones only. */
const toldLengthMax = 64 * 1024;
const newsDelayMs = 100;

export class Volumes implements Disposable {
  readonly events: VolumeEvents;
  readonly #deps: VolumesDeps;
  readonly #records: Map<string, VolumeRecord>;
  readonly #locks = new KeyedMutex();
  readonly #connector: Connector;
  #onNews: () => void = () => undefined;
  #news: Timer | undefined;
  #users: () => Iterable<VolumeUser> = () => [];
  #shownId: (containerId: string) => string = (id) => id;

  constructor(deps: VolumesDeps) {
    this.#deps = deps;
    this.events = new VolumeEvents(deps.clock);
    this.#records = new Map(deps.records.load().map((record) => [record.name, record]));
    this.#connector = new Connector({
      ...deps,
      events: this.events,
      shownId: (id) => this.#shownId(id),
      find: (name) => this.#records.get(name),
    });
  }

  /** Who uses volumes is asked for when it matters: nothing is counted. */
  attach(containers: {
    readonly users: () => Iterable<VolumeUser>;
    readonly shownId: (containerId: string) => string;
  }): void {
    this.#users = containers.users;
    this.#shownId = containers.shownId;
  }

  [Symbol.dispose](): void {
    this.#news?.cancel();
    this.#deps.records[Symbol.dispose]();
  }

  get driverNames(): readonly string[] {
    return this.#deps.drivers.names();
  }

  /** Called when what this node can tell its managers of drivers and volumes is not as before. */
  set onNews(listener: () => void) {
    this.#deps.drivers.onChange = listener;
    this.#onNews = listener;
  }

  /** Names of those whose content is on this host's own disk, as many as a message takes. */
  stayingNames(): readonly string[] {
    let length = 0;
    return [...this.#records.values()]
      .filter((record) => !isAnonymous(record) && staysOnNode({ ...record, name: record.driver }))
      .map(({ name }) => name)
      .toSorted()
      .filter((name) => (length += name.length) <= toldLengthMax);
  }

  /** Many that come at once are told of at once. */
  #tellNews(): void {
    this.#news ??= this.#deps.clock.after(newsDelayMs, () => {
      this.#news = undefined;
      this.#onNews();
    });
  }

  /** Looks which plugins there are now, for `driverNames`. */
  refreshDrivers(): Promise<void> {
    return this.#deps.drivers.refresh();
  }

  /** By name; also those that only a plugin knows of. */
  async listAll(): Promise<readonly Volume[]> {
    const { drivers, log } = this.#deps;
    await drivers.refresh();
    for (const driver of drivers.plugins()) {
      try {
        for (const { name } of await driver.list()) this.#learn(name, driver.name);
      } catch (error) {
        // As in Docker, a plugin in trouble hides only its own volumes.
        log.warn('a plugin does not tell its volumes', {
          plugin: driver.name,
          error: messageOf(error),
        });
      }
    }
    return this.list();
  }

  /** Asks its plugin what it has to tell. Throws `not-found` in Docker's words. */
  async inspect(name: string): Promise<Volume> {
    const { drivers } = this.#deps;
    if (!this.#records.has(name)) {
      await drivers.refresh();
      for (const driver of drivers.plugins()) {
        if ((await driver.find(name)) !== undefined) this.#learn(name, driver.name);
      }
    }
    const volume = this.get(name);
    if (volume.driver === 'local') return volume;
    const driver = await drivers.get(volume.driver);
    const plugin = drivers.plugins().find((one) => one === driver);
    const found = await plugin?.find(name);
    const status = found?.status;
    return status === undefined ? this.get(name) : { ...this.get(name), status };
  }

  /** A volume that a plugin has, and that nobody made here. */
  #learn(name: string, driver: string): void {
    if (this.#records.has(name)) return;
    const createdAtMs = this.#deps.clock.nowMs();
    const record = { name, driver, labels: null, options: null, createdAtMs };
    this.#deps.records.put(record);
    this.#records.set(name, record);
  }

  /** By name. */
  list(): readonly Volume[] {
    return [...this.#records.values()]
      .map((record) => this.#view(record))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws `not-found` in Docker's words. */
  get(name: string): Volume {
    const record = this.#records.get(name);
    if (record === undefined) throw new SwarmError('not-found', `get ${name}: no such volume`);
    return this.#view(record);
  }

  /** One of the same name and driver that is there already is the answer, as in Docker. */
  async create(request: VolumeRequest): Promise<Volume> {
    const name = request.name === '' ? randomName(this.#deps.random) : request.name;
    const labels =
      request.name === '' || request.owner !== undefined
        ? { ...request.labels, [anonymousLabel]: '' }
        : request.labels;
    try {
      return await this.#locks.run(name, () => this.#create({ ...request, name, labels }));
    } catch (error) {
      throw about(`create ${name}`, error);
    }
  }

  async #create({ name, driver, labels, options, owner }: VolumeRequest): Promise<Volume> {
    const known = this.#records.get(name);
    if (known !== undefined) {
      if (driver === '' || driver === known.driver) return this.#view(known);
      throw new SwarmError(
        'aborted',
        `driver '${known.driver}' already has volume '${name}': volume name must be unique`,
      );
    }
    const driverName = driver || 'local';
    const record: VolumeRecord = {
      name,
      driver: driverName,
      labels,
      options,
      createdAtMs: this.#deps.clock.nowMs(),
      ...(owner === undefined ? {} : { owner }),
    };
    const found = await this.#deps.drivers.get(driverName);
    await found.create(record);
    this.#deps.records.put(record);
    this.#records.set(name, record);
    this.events.tell('create', name, { driver: driverName });
    this.#tellNews();
    return this.#view(record);
  }

  /** Throws `aborted` for one that a container has; `force` forgives that there is none. */
  async remove(
    name: string,
    { force, quietly = false }: { readonly force: boolean; readonly quietly?: boolean },
  ): Promise<void> {
    await this.#locks.run(name, async () => {
      const record = this.#records.get(name);
      if (record === undefined) {
        if (force) return;
        throw new SwarmError('not-found', `get ${name}: no such volume`);
      }
      const users = this.usersOf(name);
      if (users.length > 0) {
        throw new SwarmError('aborted', `remove ${name}: volume is in use - [${users.join(', ')}]`);
      }
      try {
        const driver = await this.#deps.drivers.get(record.driver);
        await driver.remove(record);
      } catch (error) {
        // With force, a volume whose driver has forgotten it, or is gone itself, is forgotten too.
        if (!force || SwarmError.from(error).code !== 'not-found') {
          throw about(`remove ${name}`, error);
        }
      }
      this.#deps.records.delete(name);
      this.#records.delete(name);
      this.#tellNews();
      if (!quietly) this.events.tell('destroy', name, { driver: record.driver });
    });
  }

  /** Those that `isWanted` accepts and nobody uses. Returns the names, and what they took. */
  async prune(isWanted: (volume: Volume) => boolean) {
    const used = this.#usedNames();
    const names: string[] = [];
    let reclaimedBytes = 0;
    for (const volume of this.list()) {
      if (used.has(volume.name) || !isWanted(volume)) continue;
      const bytes = await this.sizeOf(volume);
      try {
        // As in Docker, one event tells of them all.
        await this.remove(volume.name, { force: false, quietly: true });
      } catch (error) {
        // A container may have come meanwhile.
        if (SwarmError.from(error).code !== 'aborted') throw error;
        continue;
      }
      names.push(volume.name);
      reclaimedBytes += Math.max(0, bytes);
    }
    this.events.tell('prune', '', { reclaimed: String(reclaimedBytes) });
    return { names, reclaimedBytes };
  }

  /** Ids of the containers that were made with it, running or not. */
  usersOf(name: string): readonly string[] {
    return [...this.#users()]
      .filter(({ mounts }) => mounts.some((mount) => isOf(mount, name)))
      .map(({ id }) => id);
  }

  isUsed(): (name: string) => boolean {
    const used = this.#usedNames();
    return (name) => used.has(name);
  }

  #usedNames(): ReadonlySet<string> {
    const mounts = [...this.#users()].flatMap((user) => user.mounts);
    return new Set(
      mounts.flatMap(({ type, source }) => (type === 'volume' && source ? [source] : [])),
    );
  }

  /** Bytes; -1 where only its driver could tell. */
  async sizeOf({ driver, mountpoint }: Volume): Promise<number> {
    return driver === 'local' ? sizeBytes(mountpoint) : -1;
  }

  /** Gives volumes without a name one, and makes all that are not there. */
  async provide(
    containerId: string,
    mounts: readonly PinnedMount[],
  ): Promise<readonly PinnedMount[]> {
    const provided: PinnedMount[] = [];
    for (const mount of mounts) {
      const named = this.#connector.named(containerId, mount);
      provided.push(named);
      if (named.type !== 'volume') continue;
      const { driverConfig, labels } = mount.volumeOptions ?? {};
      await this.create({
        name: named.source ?? '',
        driver: driverConfig?.name ?? '',
        options: driverConfig?.options ?? null,
        labels: labels ?? null,
        ...(named === mount ? {} : { owner: containerId }),
      });
    }
    return provided;
  }

  /**
   * Mounts the volumes of a container, fills those that are empty with what the image has there,
   * and returns its mounts as the runtime takes them.
   */
  connect(request: ConnectRequest): Promise<readonly Mount[]> {
    return this.#connector.connect(request);
  }

  /** Mounts them for as long as the work takes; nobody is told of it. */
  async during<T>(
    request: ConnectRequest,
    work: (mounts: readonly Mount[]) => Promise<T>,
  ): Promise<T> {
    const mounts = await this.#connector.connect(request, { quietly: true });
    try {
      return await work(mounts);
    } finally {
      await this.#connector.disconnect(request.containerId, { quietly: true });
    }
  }

  /** What `provide` gives, and filled: as in Docker, before the container has ever run. */
  async make(request: ConnectRequest): Promise<readonly PinnedMount[]> {
    const { containerId, image } = request;
    try {
      const mounts = await this.provide(containerId, request.mounts);
      // Images are read, and not filled.
      const filled = mounts.filter(({ type }) => type !== 'image');
      await this.#connector.connect({ containerId, mounts: filled, image }, { quietly: true });
      await this.#connector.disconnect(containerId, { quietly: true });
      return mounts;
    } catch (error) {
      await this.removeOwnedBy(containerId);
      throw error;
    }
  }

  /** The container runs already: a former daemon has mounted them. */
  adopt(containerId: string, mounts: readonly Mount[]): void {
    this.#connector.adopt(containerId, mounts);
  }

  /** One that is not connected is not an error. */
  disconnect(containerId: string): Promise<void> {
    return this.#connector.disconnect(containerId);
  }

  /** Removes the anonymous volumes that were made for the container, but for those others use. */
  async removeOwnedBy(containerId: string): Promise<void> {
    const owned = [...this.#records.values()].filter(({ owner }) => owner === containerId);
    for (const { name } of owned) {
      try {
        await this.remove(name, { force: true });
      } catch (error) {
        if (SwarmError.from(error).code !== 'aborted') throw error;
      }
    }
  }

  /** Nothing stays mounted for containers that are no more. */
  async sweep(): Promise<void> {
    const ids = new Set([...this.#users()].map(({ id }) => id));
    await this.#deps.parts.retain((containerId) => ids.has(this.#shownId(containerId)));
  }

  /** A container's mounts with what is known of their volumes and images. */
  viewsOf(containerId: string, mounts: readonly Mount[]): readonly MountView[] {
    return mounts.map((mount) => {
      if (mount.type === 'image') {
        const { source: name = '', target, imageOptions } = mount;
        const spot = { containerId, target };
        const path = this.#deps.parts.imagePath(spot, imageOptions?.subpath);
        return { mount, image: { name, path } };
      }
      if (mount.type !== 'volume') return { mount };
      const record = this.#records.get(mount.source ?? '');
      const name = mount.source ?? '';
      const volume =
        record === undefined ? { name, driver: '', mountpoint: '' } : this.#view(record);
      return { mount, volume };
    });
  }

  #view(record: VolumeRecord): Volume {
    const driver = this.#deps.drivers.known(record.driver);
    const mountpoint = driver?.path(record) ?? '';
    return { ...record, mountpoint, scope: driver?.scope ?? 'local' };
  }
}

function isOf({ type, source }: Mount, name: string): boolean {
  return type === 'volume' && source === name;
}

function about(what: string, error: unknown): SwarmError {
  const { code, message, details } = SwarmError.from(error);
  return new SwarmError(code, `${what}: ${message}`, { cause: error, details });
}
