/** The drivers of volumes that this host has. */
import { SwarmError } from '../../lib/errors.ts';
import type { VolumeDriver } from './volume.ts';

export interface Drivers {
  /** Throws `not-found` in Docker's words. */
  get(name: string): Promise<VolumeDriver>;
  /** Of a driver that may not be there now: enough to tell of its volumes. */
  known(name: string): VolumeDriver | undefined;
  names(): readonly string[];
}

/** Those that are part of the daemon. */
export class OwnDrivers implements Drivers {
  readonly #byName: ReadonlyMap<string, VolumeDriver>;

  constructor(drivers: readonly VolumeDriver[]) {
    this.#byName = new Map(drivers.map((driver) => [driver.name, driver]));
  }

  async get(name: string): Promise<VolumeDriver> {
    const driver = this.#byName.get(name);
    if (driver !== undefined) return driver;
    throw unknownDriver(name);
  }

  known(name: string): VolumeDriver | undefined {
    return this.#byName.get(name);
  }

  names(): readonly string[] {
    return [...this.#byName.keys()];
  }
}

export function unknownDriver(name: string): SwarmError {
  return new SwarmError(
    'not-found',
    `error looking up volume plugin ${name}: plugin "${name}" not found`,
  );
}
