/** Puts the parts of a node's network together. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { Balancer } from './balancer/index.ts';
import { ContainerNetwork, type ContainerNetworkOptions } from './container-network.ts';
import { EndpointSettings } from './endpoint-settings.ts';
import { gatewayBridgeName } from './gateway-bridge.ts';
import { NetlinkSockets } from './netlink-sockets.ts';
import { Netfilter } from './nft/index.ts';
import { LocalNetworks } from './local/index.ts';
import { Mesh } from './mesh/index.ts';
import { OverlayNetworks, overlayPath } from './overlay/index.ts';
import type { NetworkPart } from './part.ts';
import { HostPorts, PortRules, TaskPorts, taskPortOptions } from './ports/index.ts';
import { Resolver, resolverAddress } from './resolver/index.ts';
import { NetworkTables } from './tables.ts';
import { Tunnels } from './tunnel/index.ts';

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
  const tunnels = new Tunnels(
    { runRoot: options.runRoot, namePrefix: tunnelPrefix(options.runRoot) },
    { clock, log, onKey: () => network.dataPathChanged() },
  );
  const overlay = new OverlayNetworks(
    { runRoot: options.runRoot },
    { tables, sockets, tunnels, node: () => network.node, clock, log },
  );
  const local = new LocalNetworks(
    {
      dataRoot: options.dataRoot,
      otherBridges: [gatewayBridgeName],
      ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
    },
    {
      sockets,
      names: { changed: (delta) => resolver.changed(delta) },
      clock,
      random,
      log,
    },
  );
  const resolver = new Resolver({}, { tables, local: local.tables, clock, random, log });
  const netfilter = new Netfilter();
  const mesh = new Mesh({
    tables,
    netfilter,
    sockets,
    node: () => network.node,
    networkPath: (id) => overlayPath(options.runRoot, id),
    clock,
    log,
  });
  const ports = newHostPorts({ clock, log });
  const taskPorts = new TaskPorts(ports.publisher(taskPortOptions), (port) => mesh.ownerOf(port));
  const balancer = new Balancer({ tables, netfilter, clock, log });
  // The resolver comes last: no name is to lead to a virtual IP that is not there yet.
  const parts: readonly NetworkPart[] = [
    local,
    new EndpointSettings(),
    ports,
    balancer,
    mesh,
    resolver,
  ];
  const network: ContainerNetwork = new ContainerNetwork(options, {
    tables,
    sockets,
    overlay,
    tunnels,
    local,
    parts,
    resolver: resolverAddress,
    ports,
    taskPorts,
    clock,
    log,
  });
  return network;
}

function newHostPorts({ clock, log: parent }: { clock: Clock; log: Logger }): HostPorts {
  const log = parent.child({ module: 'ports' });
  return new HostPorts({ rules: new PortRules(log), clock, log });
}

/** Sockets of wireguard-go are in one folder for all daemons that share it. */
function tunnelPrefix(runRoot: string): string {
  return `tsw-${createHash('sha256').update(runRoot).digest('hex').slice(0, 8)}`;
}
