/** Puts the parts of a node's network together. */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { Balancer } from './balancer/index.ts';
import { ContainerNetwork, type ContainerNetworkOptions } from './container-network.ts';
import { gatewayBridgeName } from './gateway-bridge.ts';
import { NetlinkSockets } from './netlink-sockets.ts';
import { Netfilter } from './nft/index.ts';
import { LocalNetworks } from './local/index.ts';
import { OverlayNetworks } from './overlay/index.ts';
import type { NetworkPart } from './part.ts';
import { Resolver, resolverAddress } from './resolver/index.ts';
import { NetworkTables } from './tables.ts';

export interface NodeNetworkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export function createNetwork(
  options: ContainerNetworkOptions,
  { clock, random, log }: NodeNetworkDeps,
): ContainerNetwork {
  const tables = new NetworkTables();
  const sockets = new NetlinkSockets();
  const overlay = new OverlayNetworks(
    { runRoot: options.runRoot },
    { tables, sockets, node: () => network.node, clock, log },
  );
  const local = new LocalNetworks(
    {
      dataRoot: options.dataRoot,
      otherBridges: [gatewayBridgeName],
      ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
    },
    {
      sockets,
      swarm: tables,
      names: { changed: (delta) => resolver.changed(delta) },
      clock,
      random,
      log,
    },
  );
  const resolver = new Resolver({}, { tables, local: local.tables, clock, random, log });
  const parts: readonly NetworkPart[] = [
    local,
    resolver,
    new Balancer({ tables, netfilter: new Netfilter(), clock, log }),
  ];
  const network: ContainerNetwork = new ContainerNetwork(options, {
    tables,
    sockets,
    overlay,
    local,
    parts,
    resolver: resolverAddress,
    clock,
    log,
  });
  return network;
}
