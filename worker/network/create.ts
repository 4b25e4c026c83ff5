/** Puts the parts of a node's network together. */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { ContainerNetwork, type ContainerNetworkOptions } from './container-network.ts';
import { OverlayNetworks } from './overlay/index.ts';
import type { NetworkPart } from './part.ts';
import { NetworkTables } from './tables.ts';

export interface NodeNetworkDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

export function createNetwork(
  options: ContainerNetworkOptions,
  { clock, log }: NodeNetworkDeps,
): ContainerNetwork {
  const tables = new NetworkTables();
  const overlay = new OverlayNetworks(
    { runRoot: options.runRoot },
    { tables, node: () => network.node, clock, log },
  );
  const parts: readonly NetworkPart[] = [];
  const network: ContainerNetwork = new ContainerNetwork(options, {
    tables,
    overlay,
    parts,
    clock,
    log,
  });
  return network;
}
