/**
 * Owns published ports: the way from every node's port to a service's tasks and back. May import
 * lib, types and the network folder's part, tables, netlink, nft and balancer. Read mesh.ts first,
 * then rulesets.ts, which is the way; gate.ts is this node's part of it, backends.ts that of a
 * container.
 */
export { Ipv6Clients, streamsMax } from './ipv6-clients.ts';
export { Mesh, type MeshDeps } from './mesh.ts';
export type { PublishedPort } from './ports.ts';
export type { PortTaken } from './reservations.ts';
export { hostLink as meshLink } from './names.ts';
