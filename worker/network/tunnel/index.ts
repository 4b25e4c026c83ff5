/**
 * Owns what carries encrypted networks between nodes: WireGuard devices, their keys and peers. May
 * import lib, types and the network folder's part, namespace, netlink and container-interfaces.
 * Read tunnels.ts first, then tunnel.ts, which is one device; keys.ts says what follows from a key.
 */
export { tunnelAddressOf } from './keys.ts';
export { Tunnels } from './tunnels.ts';
