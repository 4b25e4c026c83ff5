/** The cluster volumes of this node: mounted where a task has them, let go of when it is asked. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Node } from '../../gen/csi/csi_pb.js';
import { withAbort } from '../../lib/abort.ts';
import { atMost, type Clock } from '../../lib/clock.ts';
import { KeyedMutex } from '../../lib/concurrency.ts';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { AssignedVolume, DeviceMapping, Mount, VolumeAttachment } from '../../types/index.ts';
import { capabilityOf } from './capability.ts';
import type { CsiDrivers } from './drivers.ts';

export interface VolumeAssignments {
  /** What is named nowhere here is to be let go of. */
  readonly complete: boolean;
  readonly update: readonly AssignedVolume[];
  readonly remove: readonly { readonly id: string; readonly publication: string }[];
}

export interface ConnectedVolumes {
  readonly mounts: readonly Mount[];
  /** Of volumes that are disks. */
  readonly devices: readonly DeviceMapping[];
}

export interface ClusterVolumesDeps {
  readonly drivers: Pick<CsiDrivers, 'get'>;
  /** Seen by containerd: what is mounted below it is mounted in containers. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a later daemon has to know to let go of a volume. */
interface Mounted {
  readonly driver: string;
  readonly volumeId: string;
  /** Absent of one that an older daemon has mounted. */
  readonly publication?: string;
}

/** A driver may have to format a disk. */
const callTimeoutMs = 120_000;
const retryMs = 1_000;
const settleTimeoutMs = 10_000;

type ReleaseListener = (volumeId: string, publication: string) => void;

export class ClusterVolumes implements Disposable {
  readonly #deps: ClusterVolumesDeps;
  readonly #assigned = new Map<string, AssignedVolume>();
  /** The containers that have it, or are about to, by volume. */
  readonly #holders = new Map<string, Set<string>>();
  readonly #mounted: Map<string, Mounted>;
  readonly #locks = new KeyedMutex();
  /** Those that are being let go of, with the publications that managers wait for. */
  readonly #releasing = new Map<string, { readonly over: Promise<void>; told: Set<string> }>();
  readonly #listeners = new Set<ReleaseListener>();
  readonly #stop = new AbortController();
  #news = Promise.withResolvers<void>();

  constructor(deps: ClusterVolumesDeps) {
    this.#deps = deps;
    mkdirSync(deps.folder, { recursive: true, mode: 0o700 });
    this.#mounted = recordsIn(deps.folder);
  }

  /** What is mounted stays. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  onReleased(listener: ReleaseListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  assign({ complete, update, remove }: VolumeAssignments): void {
    const named = new Set([...update, ...remove].map(({ id }) => id));
    const known = new Set([...this.#assigned.keys(), ...this.#mounted.keys()]);
    for (const id of complete ? known : []) if (!named.has(id)) this.#release(id);
    for (const volume of update) {
      // It was taken from this node meanwhile, and is given anew: what is mounted is of no use.
      const { publication: mounted } = this.#mounted.get(volume.id) ?? {};
      if (mounted !== undefined && mounted !== volume.publication) this.#release(volume.id);
      this.#assigned.set(volume.id, volume);
    }
    for (const { id, publication } of remove) this.#release(id, publication);
    this.#tellNews();
  }

  /** Resolves once nothing is being let go of; a driver that is gone is not waited for. */
  async settled(): Promise<void> {
    const done = async () => {
      while (this.#releasing.size > 0) {
        await Promise.all([...this.#releasing.values()].map(({ over }) => over));
      }
    };
    await atMost(this.#deps.clock, settleTimeoutMs, done());
  }

  /** The container runs already: a former daemon has mounted them. */
  adopt(containerId: string, attachments: readonly VolumeAttachment[]): void {
    for (const { id } of attachments) this.#hold(id, containerId);
  }

  /**
   * Waits until the container's cluster volumes are published to this node, and mounts them. Throws
   * what their drivers say; then none is held.
   */
  async connect(
    containerId: string,
    mounts: readonly Mount[],
    attachments: readonly VolumeAttachment[],
    signal: AbortSignal,
  ): Promise<ConnectedVolumes> {
    if (attachments.length === 0) return { mounts, devices: [] };
    const connected: Mount[] = [];
    const devices: DeviceMapping[] = [];
    try {
      for (const mount of mounts) {
        const attachment = attachments.find(({ target }) => target === mount.target);
        if (mount.type !== 'cluster' || attachment === undefined) {
          connected.push(mount);
          continue;
        }
        const { source, isBlock } = await this.#provide(attachment.id, containerId, signal);
        if (isBlock) {
          const permissions = mount.readOnly === true ? 'r' : 'rwm';
          devices.push({ pathOnHost: source, pathInContainer: mount.target, permissions });
        } else {
          connected.push({ ...mount, type: 'bind', source });
        }
      }
    } catch (error) {
      this.disconnect(containerId);
      throw error;
    }
    return { mounts: connected, devices };
  }

  /** One that has none is not an error. */
  disconnect(containerId: string): void {
    for (const [id, holders] of this.#holders) {
      if (!holders.delete(containerId)) continue;
      if (holders.size === 0) this.#holders.delete(id);
    }
    this.#tellNews();
  }

  async #provide(id: string, containerId: string, signal: AbortSignal) {
    for (;;) {
      signal.throwIfAborted();
      const releasing = this.#releasing.get(id);
      if (releasing === undefined && this.#assigned.has(id)) break;
      await withAbort(releasing?.over ?? this.#news.promise, signal);
    }
    this.#hold(id, containerId);
    return this.#locks.run(id, () => this.#mount(id, signal), signal);
  }

  async #mount(id: string, signal: AbortSignal) {
    const volume = this.#assigned.get(id);
    if (volume === undefined) throw new SwarmError('aborted', `volume ${id} was taken back`);
    const { accessMode, secrets, volumeContext, publishContext, volumeId, publication } = volume;
    const driver = await this.#deps.drivers.get(volume.driver);
    const { staging, target } = this.#paths(id);
    await mkdir(staging, { recursive: true, mode: 0o700 });
    await this.#remember(id, { driver: volume.driver, volumeId, publication });
    const common = {
      volumeId,
      volumeCapability: capabilityOf(accessMode),
      secrets: { ...secrets },
      volumeContext: { ...volumeContext },
      publishContext: { ...publishContext },
      stagingTargetPath: driver.capabilities.stages ? staging : '',
    };
    const options = { signal, timeoutMs: callTimeoutMs };
    // Both may be asked for again and again, and do nothing where it is done.
    if (driver.capabilities.stages) {
      await driver.ask(Node, (client, given) => client.nodeStageVolume(common, given), options);
    }
    const asked = { ...common, targetPath: target, readonly: accessMode.sharing === 'readonly' };
    await driver.ask(Node, (client, given) => client.nodePublishVolume(asked, given), options);
    return { source: target, isBlock: (await stat(target)).isBlockDevice() };
  }

  #release(id: string, publication?: string): void {
    this.#assigned.delete(id);
    const known = this.#releasing.get(id);
    if (known !== undefined) {
      if (publication !== undefined) known.told.add(publication);
      return;
    }
    const told = new Set(publication === undefined ? [] : [publication]);
    const over = this.#letGo(id).then((isDone) => {
      this.#releasing.delete(id);
      if (!isDone) return;
      for (const one of told) for (const listener of this.#listeners) listener(id, one);
    });
    this.#releasing.set(id, { over, told });
  }

  /** Once no container has it any more. False where this daemon ends before. */
  async #letGo(id: string): Promise<boolean> {
    const { clock, log } = this.#deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        while (this.#holders.has(id)) await withAbort(this.#news.promise, signal);
        await this.#locks.run(id, () => this.#unmount(id), signal);
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        log.warn('a cluster volume could not be let go of, and it is tried again', {
          volumeId: id,
          error: messageOf(error),
        });
      }
      await withoutReason(clock.sleep(retryMs, { signal }), signal);
    }
    return false;
  }

  async #unmount(id: string): Promise<void> {
    const mounted = this.#mounted.get(id);
    if (mounted === undefined) return;
    const { folder, staging, target } = this.#paths(id);
    const { volumeId } = mounted;
    const driver = await this.#deps.drivers.get(mounted.driver);
    const options = { signal: this.#stop.signal, timeoutMs: callTimeoutMs };
    const published = { volumeId, targetPath: target };
    await driver.ask(
      Node,
      (client, given) => client.nodeUnpublishVolume(published, given),
      options,
    );
    if (driver.capabilities.stages) {
      const staged = { volumeId, stagingTargetPath: staging };
      await driver.ask(Node, (client, given) => client.nodeUnstageVolume(staged, given), options);
    }
    // Never what is in a volume: a folder that is not empty is still mounted, or was written to.
    await removeEmpty(target);
    await removeEmpty(staging);
    await rm(join(folder, recordName), { force: true });
    await removeEmpty(folder);
    this.#mounted.delete(id);
  }

  async #remember(id: string, mounted: Mounted): Promise<void> {
    if (this.#mounted.has(id)) return;
    const { folder } = this.#paths(id);
    await writeFile(join(folder, recordName), JSON.stringify(mounted), {
      mode: 0o600,
      flush: true,
    });
    this.#mounted.set(id, mounted);
  }

  #hold(id: string, containerId: string): void {
    const holders = this.#holders.get(id);
    if (holders === undefined) this.#holders.set(id, new Set([containerId]));
    else holders.add(containerId);
  }

  #tellNews(): void {
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers<void>();
    resolve();
  }

  #paths(id: string) {
    const folder = join(this.#deps.folder, id);
    return { folder, staging: join(folder, 'staging'), target: join(folder, 'target') };
  }
}

const recordName = 'volume.json';

/** What a former daemon has mounted, or begun to. */
function recordsIn(folder: string): Map<string, Mounted> {
  return new Map(
    readdirSync(folder).flatMap((id) => {
      try {
        const text = readFileSync(join(folder, id, recordName), 'utf8');
        return [[id, JSON.parse(text) as Mounted] as const];
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    }),
  );
}

async function removeEmpty(path: string): Promise<void> {
  try {
    const found = await stat(path);
    await (found.isDirectory() ? rmdir(path) : rm(path));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** A wait that the daemon's end cuts short is over. */
async function withoutReason(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await wait;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
