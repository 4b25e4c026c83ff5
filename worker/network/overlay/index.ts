/**
 * Owns the overlay networks of this node: their namespaces, bridges, vxlan devices, forwarding and
 * neighbour entries, and the links to containers. May import lib, types and the network folder's
 * part, tables, namespace, netlink and container-interfaces. Read overlay-networks.ts first, then
 * segment.ts, which is one network.
 */
export { bridgeName, overlayPath } from './names.ts';
export { OverlayNetworks, type OverlayDeps, type OverlayNode } from './overlay-networks.ts';
