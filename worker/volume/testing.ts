/** Volumes in a folder of a test's, without an image to fill them from. */
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { FakeLayers } from '../runtime/fake-parts.ts';
import type { Layers } from '../runtime/layers.ts';
import type { ImageContent } from './image-content.ts';
import { LocalDriver } from './local/local-driver.ts';
import { Parts } from './parts.ts';
import { PluginDrivers } from './plugin/plugin-drivers.ts';
import { VolumeRecords } from './records.ts';
import type { VolumeDriver } from './volume.ts';
import { Volumes } from './volumes.ts';

/** Notes what was to be copied, as "path folder". */
export class FakeContent implements ImageContent {
  readonly copies: string[] = [];

  async copy(_image: unknown, path: string, folder: string): Promise<void> {
    this.copies.push(`${path} ${folder}`);
  }
}

export function testVolumes(options: {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly recordsFolder?: string;
  readonly content?: ImageContent;
  readonly layers?: Pick<Layers, 'prepare' | 'mounts' | 'remove'>;
  readonly drivers?: readonly VolumeDriver[];
}): Volumes {
  const { folder, clock, random, recordsFolder = ':memory:' } = options;
  return new Volumes({
    records: new VolumeRecords(recordsFolder),
    drivers: new PluginDrivers(
      [new LocalDriver(folder), ...(options.drivers ?? [])],
      { sockets: join(folder, 'plugins'), specs: [join(folder, 'specs')] },
      silentLogger,
    ),
    content: options.content ?? new FakeContent(),
    parts: new Parts(join(folder, '.parts'), options.layers ?? new FakeLayers()),
    clock,
    random,
    log: silentLogger,
  });
}
