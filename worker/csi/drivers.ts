/** The drivers of this host: whoever answers on a socket in the folder that is there for them. */
import { mkdirSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { CsiInfo } from '../../types/index.ts';
import { CsiDriver } from './driver.ts';

/** More drivers than this on one host are a mistake. */
const driversMax = 64;

/** Below the run root: each daemon of a host has its own, as each is a node. */
export function csiFolder(runRoot: string): string {
  return join(runRoot, 'csi');
}

interface Active {
  readonly driver: CsiDriver;
  /** Another socket in the same place is another process. */
  readonly inode: string;
}

export class CsiDrivers implements Disposable {
  readonly #folder: string;
  readonly #log: Logger;
  /** By the path of the socket. */
  readonly #active = new Map<string, Active>();
  /** Told once each. */
  readonly #troubles = new Map<string, string>();
  #looking: Promise<void> | undefined;
  /** What `infos` tells is not as before. */
  onChange: () => void = () => undefined;

  /** Throws where the folder for sockets cannot be made. */
  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log.child({ module: 'csi' });
    mkdirSync(folder, { recursive: true, mode: 0o711 });
  }

  [Symbol.dispose](): void {
    for (const { driver } of this.#active.values()) driver[Symbol.dispose]();
    this.#active.clear();
  }

  /** What the managers are told, by name. */
  infos(): readonly CsiInfo[] {
    return [...this.#byName().values()]
      .map(({ capabilities }) => capabilities.info)
      .sort((a, b) => (a.driver < b.driver ? -1 : 1));
  }

  /** Looks for the driver anew where it is not known. Throws `not-found`. */
  async get(name: string): Promise<CsiDriver> {
    const known = this.#byName().get(name);
    if (known !== undefined) return known;
    await this.refresh();
    const found = this.#byName().get(name);
    if (found !== undefined) return found;
    throw new SwarmError(
      'unavailable',
      `the CSI driver ${name} is not on this node: its socket belongs into ${this.#folder}`,
    );
  }

  /** Looks which there are now. One that does not answer is left out. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const before = JSON.stringify(this.infos());
    const sockets = await this.#sockets();
    for (const [path, { driver }] of this.#active) {
      if (sockets.has(path)) continue;
      driver[Symbol.dispose]();
      this.#active.delete(path);
    }
    await Promise.all([...sockets].map(([path, inode]) => this.#open(path, inode)));
    if (JSON.stringify(this.infos()) !== before) this.onChange();
  }

  async #open(path: string, inode: string): Promise<void> {
    const known = this.#active.get(path);
    if (known?.inode === inode) return;
    known?.driver[Symbol.dispose]();
    this.#active.delete(path);
    try {
      this.#active.set(path, { driver: await CsiDriver.open(path), inode });
      this.#troubles.delete(path);
    } catch (error) {
      const trouble = messageOf(error);
      if (this.#troubles.get(path) === trouble) return;
      this.#troubles.set(path, trouble);
      this.#log.warn('a CSI driver does not answer as one', { socket: path, error: trouble });
    }
  }

  /** `NAME.sock` and `NAME/csi.sock`, each with what tells it from another in its place. */
  async #sockets(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for (const { name } of await readdir(this.#folder, { withFileTypes: true })) {
      const path = join(this.#folder, name, ...(name.endsWith('.sock') ? [] : ['csi.sock']));
      const inode = await inodeOf(path);
      if (inode !== undefined && found.size < driversMax) found.set(path, inode);
    }
    return found;
  }

  #byName(): ReadonlyMap<string, CsiDriver> {
    const drivers = [...this.#active.values()].map(({ driver }) => driver);
    return new Map(drivers.map((driver) => [driver.name, driver]));
  }
}

/** Undefined for what is no socket. */
async function inodeOf(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path);
    return found.isSocket() ? `${found.dev} ${found.ino} ${found.ctimeMs}` : undefined;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
