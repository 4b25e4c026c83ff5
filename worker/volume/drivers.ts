/** The drivers of volumes that this host has. */
import { SwarmError } from '../../lib/errors.ts';
import type { PluginDriver } from './plugin/plugin-driver.ts';
import type { VolumeDriver } from './volume.ts';

export interface Drivers {
  /** Throws `not-found` in Docker's words. */
  get(name: string): Promise<VolumeDriver>;
  /** Of a driver that may not be there now: enough to tell of its volumes. */
  known(name: string): VolumeDriver | undefined;
  names(): readonly string[];
  /** Of those that `names` tells, the ones that keep lists of their own. */
  plugins(): readonly PluginDriver[];
  /** Called when `names` tells others than before. */
  onChange: () => void;
  /** Looks what there is now. */
  refresh(): Promise<void>;
}

export function unknownDriver(name: string): SwarmError {
  return new SwarmError(
    'not-found',
    `error looking up volume plugin ${name}: plugin "${name}" not found`,
  );
}
