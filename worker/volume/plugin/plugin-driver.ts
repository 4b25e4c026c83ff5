/** A driver of volumes that is a program of its own, spoken to in Docker's plugin protocol. */
import { SwarmError } from '../../../lib/errors.ts';
import type { VolumeDriver, VolumeDriverScope, VolumeRecord } from '../volume.ts';
import type { PluginAddress } from './address.ts';
import { callPlugin } from './client.ts';

/** Docker's: what may have to reach out to a storage, and what only tells. */
const longTimeoutMs = 120_000;
const shortTimeoutMs = 60_000;

interface FoundVolume {
  readonly name: string;
  readonly mountpoint: string;
  readonly status?: Readonly<Record<string, unknown>>;
}

export class PluginDriver implements VolumeDriver {
  readonly name: string;
  readonly scope: VolumeDriverScope;
  readonly #address: PluginAddress;
  /** Where content is, as the plugin last told. */
  readonly #paths = new Map<string, string>();

  constructor(name: string, address: PluginAddress, scope: VolumeDriverScope) {
    this.name = name;
    this.scope = scope;
    this.#address = address;
  }

  async create({ name, options }: VolumeRecord): Promise<void> {
    // As in Docker, what the plugin has already is taken as it is.
    if ((await this.find(name)) !== undefined) return;
    await this.#call('Create', { Name: name, Opts: options ?? {} }, longTimeoutMs);
  }

  async remove({ name }: VolumeRecord): Promise<void> {
    await this.#call('Remove', { Name: name }, longTimeoutMs);
    this.#paths.delete(name);
  }

  async mount({ name }: VolumeRecord, containerId: string): Promise<string> {
    const { Mountpoint } = await this.#call(
      'Mount',
      { Name: name, ID: containerId },
      longTimeoutMs,
    );
    if (typeof Mountpoint !== 'string' || !Mountpoint.startsWith('/')) {
      throw new SwarmError(
        'failed-precondition',
        `VolumeDriver.Mount: the plugin ${this.name} tells no path where ${name} is mounted`,
      );
    }
    this.#paths.set(name, Mountpoint);
    return Mountpoint;
  }

  async unmount({ name }: VolumeRecord, containerId: string): Promise<void> {
    await this.#call('Unmount', { Name: name, ID: containerId }, longTimeoutMs);
  }

  path({ name }: VolumeRecord): string {
    return this.#paths.get(name) ?? '';
  }

  /** Undefined for one that the plugin does not know, however it says so. */
  async find(name: string): Promise<FoundVolume | undefined> {
    try {
      const { Volume } = await this.#call('Get', { Name: name }, shortTimeoutMs);
      return this.#found(Volume);
    } catch (error) {
      // The protocol has no code for "no such volume": only silence is another matter.
      if (SwarmError.from(error).code === 'unavailable') throw error;
      return undefined;
    }
  }

  async list(): Promise<readonly FoundVolume[]> {
    const { Volumes } = await this.#call('List', {}, shortTimeoutMs);
    const all: readonly unknown[] = Array.isArray(Volumes) ? Volumes : [];
    return all.flatMap((one) => this.#found(one) ?? []);
  }

  #found(value: unknown): FoundVolume | undefined {
    const { Name, Mountpoint, Status } = Object(value) as Readonly<Record<string, unknown>>;
    if (typeof Name !== 'string' || Name === '') return undefined;
    const mountpoint = typeof Mountpoint === 'string' ? Mountpoint : '';
    if (mountpoint !== '') this.#paths.set(Name, mountpoint);
    const hasStatus = typeof Status === 'object' && Status !== null;
    return {
      name: Name,
      mountpoint,
      ...(hasStatus ? { status: Status as Record<string, unknown> } : {}),
    };
  }

  #call(method: string, body: object, timeoutMs: number) {
    return callPlugin(this.#address, `VolumeDriver.${method}`, body, { timeoutMs });
  }
}
