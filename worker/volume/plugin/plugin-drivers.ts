/** All drivers of volumes: those that are part of the daemon, and the plugins of this host. */
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { unknownDriver, type Drivers } from '../drivers.ts';
import type { VolumeDriver, VolumeDriverScope } from '../volume.ts';
import { addressOf, pluginNames, type PluginAddress, type PluginFolders } from './address.ts';
import { callPlugin } from './client.ts';
import { PluginDriver } from './plugin-driver.ts';

/** A handshake that takes longer is none: for one who waits for it, and for a look around. */
const handshakeTimeoutMs = 10_000;
const lookTimeoutMs = 2_000;
/** More plugins than this on one host are a mistake, and each costs a handshake. */
const pluginsMax = 64;

interface Active {
  readonly key: string;
  readonly driver: PluginDriver;
}

export class PluginDrivers implements Drivers {
  readonly #own: ReadonlyMap<string, VolumeDriver>;
  readonly #folders: PluginFolders;
  readonly #log: Logger;
  readonly #active = new Map<string, Active>();
  /** Plugins that the last look found, in order. */
  #found: readonly string[] = [];
  #looking: Promise<void> | undefined;
  /** Those that are there are others than before. */
  onChange: () => void = () => undefined;
  /** Told once each. */
  readonly #troubles = new Map<string, string>();

  constructor(own: readonly VolumeDriver[], folders: PluginFolders, log: Logger) {
    this.#own = new Map(own.map((driver) => [driver.name, driver]));
    this.#folders = folders;
    this.#log = log;
  }

  async get(name: string): Promise<VolumeDriver> {
    const own = this.#own.get(name);
    if (own !== undefined) return own;
    const driver = this.#active.get(name)?.driver ?? (await this.#activate(name));
    if (driver === undefined) throw unknownDriver(name);
    return driver;
  }

  known(name: string): VolumeDriver | undefined {
    return this.#own.get(name) ?? this.#active.get(name)?.driver;
  }

  names(): readonly string[] {
    return [...this.#own.keys(), ...this.#found];
  }

  plugins(): readonly PluginDriver[] {
    return this.#found.flatMap((name) => this.#active.get(name)?.driver ?? []);
  }

  /** Looks which plugins there are now. One that does not answer is left out. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const names = (await pluginNames(this.#folders)).slice(0, pluginsMax);
    const answers = await Promise.all(names.map((name) => this.#tryActivate(name)));
    const before = this.#found.join();
    this.#found = names.filter((name, index) => answers[index] && !this.#own.has(name));
    for (const name of this.#active.keys()) {
      if (!this.#found.includes(name)) this.#active.delete(name);
    }
    if (this.#found.join() !== before) this.onChange();
    for (const name of this.#troubles.keys()) {
      if (!names.includes(name)) this.#troubles.delete(name);
    }
  }

  async #tryActivate(name: string): Promise<boolean> {
    try {
      const isThere = (await this.#activate(name, lookTimeoutMs)) !== undefined;
      this.#troubles.delete(name);
      return isThere;
    } catch (error) {
      const trouble = messageOf(error);
      if (this.#troubles.get(name) !== trouble) {
        this.#troubles.set(name, trouble);
        this.#log.warn('a plugin does not answer as one', { plugin: name, error: trouble });
      }
      return false;
    }
  }

  /** Undefined for what is not there, or drives no volumes. */
  async #activate(name: string, timeoutMs = handshakeTimeoutMs): Promise<PluginDriver | undefined> {
    const address = await addressOf(name, this.#folders);
    if (address === undefined) return undefined;
    const driver = await shakeHands(name, address, timeoutMs);
    if (driver === undefined) return undefined;
    // One that is known already has learnt where its volumes are.
    const key = JSON.stringify(address);
    const active = this.#active.get(name);
    if (active?.key === key && active.driver.scope === driver.scope) return active.driver;
    this.#active.set(name, { key, driver });
    return driver;
  }
}

async function shakeHands(
  name: string,
  address: PluginAddress,
  timeoutMs: number,
): Promise<PluginDriver | undefined> {
  const { Implements } = await callPlugin(address, 'Plugin.Activate', {}, { timeoutMs });
  const kinds: readonly unknown[] = Array.isArray(Implements) ? Implements : [];
  if (!kinds.includes('VolumeDriver')) return undefined;
  return new PluginDriver(name, address, await scopeOf(address, timeoutMs));
}

/** As in Docker, a plugin that does not tell has volumes of its own host only. */
async function scopeOf(address: PluginAddress, timeoutMs: number): Promise<VolumeDriverScope> {
  try {
    const answer = await callPlugin(address, 'VolumeDriver.Capabilities', {}, { timeoutMs });
    const { Scope } = Object(answer['Capabilities']) as { Scope?: unknown };
    return typeof Scope === 'string' && Scope.toLowerCase() === 'global' ? 'global' : 'local';
  } catch (error) {
    if (SwarmError.from(error).code === 'unavailable') throw error;
    return 'local';
  }
}
