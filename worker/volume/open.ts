/** The volumes of a host, with Docker's own driver. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { LayerContent } from './image-content.ts';
import { LocalDriver } from './local/local-driver.ts';
import { dockerFolders } from './plugin/address.ts';
import { Parts } from './parts.ts';
import { PluginDrivers } from './plugin/plugin-drivers.ts';
import { shareFolder } from './mounts.ts';
import { VolumeRecords } from './records.ts';
import { Volumes } from './volumes.ts';

interface VolumesOptions {
  readonly dataRoot: string;
  readonly runRoot: string;
}

/** Must come before containerd, which is to see what is mounted in volumes later. */
export function prepareVolumes({ dataRoot }: Pick<VolumesOptions, 'dataRoot'>): void {
  const folder = folderOf(dataRoot);
  mkdirSync(folder, { recursive: true, mode: 0o701 });
  shareFolder(folder);
}

export function openVolumes(
  { dataRoot, runRoot }: VolumesOptions,
  deps: {
    readonly runtime: Pick<Runtime, 'layers'>;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Logger;
  },
): Volumes {
  const folder = folderOf(dataRoot);
  const log = deps.log.child({ module: 'volume' });
  return new Volumes({
    ...deps,
    log,
    records: new VolumeRecords(join(dataRoot, 'volume-records')),
    drivers: new PluginDrivers([new LocalDriver(folder)], dockerFolders, log),
    content: new LayerContent(join(runRoot, 'volume-views'), deps.runtime.layers),
    // No volume has a name that begins with a dot.
    parts: new Parts(join(folder, '.parts'), deps.runtime.layers),
  });
}

function folderOf(dataRoot: string): string {
  return join(dataRoot, 'volumes');
}
