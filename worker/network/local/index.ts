/**
 * Owns the networks of one node: bridges of its own, and macvlan. May import lib, types and
 * the network folder's part, tables, netlink, nft, namespace and container-interfaces. Read
 * local-networks.ts first; plan.ts says what a network is, the devices what it is made of.
 */
export type { AddressWish } from './address-use.ts';
export {
  LocalNetworks,
  type LocalNetworksDeps,
  type LocalNetworksOptions,
} from './local-networks.ts';
export type { LocalNetwork } from './plan.ts';
export { bridgesOf } from './describe.ts';
