/**
 * Owns how containers are connected: namespaces, the gateway bridge, host-mode ports. May import
 * lib and types. Read network.ts (the port) first, then bridge-network.ts, which drives the rest:
 * namespace.ts and netlink.ts talk to the kernel, host-ports.ts to nft, subnet.ts is arithmetic.
 */
export { BridgeNetwork, type BridgeNetworkOptions } from './bridge-network.ts';
export type { Attachment, AttachRequest, NetworkDriver } from './network.ts';
