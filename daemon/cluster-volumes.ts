/** Cluster volumes: this node's drivers and mounts, and on a manager their keeper. */
import { join } from 'node:path';
import type { Backend } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { VolumeKeeper, type VolumeKeeperParts } from '../manager/csi/index.ts';
import {
  callController,
  ClusterVolumes,
  CsiDrivers,
  csiFolder,
  type ClusterVolumesDeps,
} from '../worker/csi/index.ts';
import { askCsi } from './csi-call.ts';
import type { DaemonOptions } from './options.ts';
import type { Tunnels } from './tunnels.ts';

interface NodeCsi extends Disposable {
  readonly drivers: CsiDrivers;
  readonly volumes: ClusterVolumes;
  readonly api: NonNullable<Backend['csi']>;
}

/** The volumes are mounted below the folder of the node's own, which containerd sees. */
export function openCsi(
  { dataRoot, runRoot }: Pick<DaemonOptions, 'dataRoot' | 'runRoot'>,
  { clock, log }: Pick<ClusterVolumesDeps, 'clock' | 'log'>,
): NodeCsi {
  const drivers = new CsiDrivers(csiFolder(runRoot), log);
  const folder = join(dataRoot, 'volumes', '.csi');
  const volumes = new ClusterVolumes({ drivers, folder, clock, log: log.child({ module: 'csi' }) });
  return {
    drivers,
    volumes,
    api: { call: (request, options) => callController(drivers, request, options) },
    [Symbol.dispose]() {
      volumes[Symbol.dispose]();
      drivers[Symbol.dispose]();
    },
  };
}

export function newVolumeKeeper(
  store: VolumeKeeperParts['store'],
  tunnels: Pick<Tunnels, 'reach'>,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): VolumeKeeper {
  return new VolumeKeeper({
    store,
    ask: async (nodeId, request, options) =>
      askCsi(await tunnels.reach(nodeId, options), request, options),
    clock,
    random,
    log: log.child({ module: 'volumes' }),
  });
}
