/**
 * Owns how containers are connected: namespaces, the gateway bridge, ports of the host, and
 * the swarm's networks. May import lib and types. Read network.ts (the port) first, then
 * container-network.ts, which drives the rest: gateway-bridge.ts, overlay/ and the other parts,
 * each of which follows tables.ts. namespace.ts, netlink.ts and nft/ talk to the kernel,
 * subnet.ts is arithmetic. create.ts puts the parts together.
 */
export type { ContainerNetwork, ContainerNetworkOptions } from './container-network.ts';
export { createNetwork, type NodeNetworkDeps } from './create.ts';
export type { Attachment, AttachRequest, NetworkDriver } from './network.ts';
export { KernelNews } from './kernel-news.ts';
export {
  HostPorts,
  type Conflict,
  type PortPublisher,
  type PortRequest,
  type PublishedPort,
  type PublisherOptions,
} from './ports/index.ts';
