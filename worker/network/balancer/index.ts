/**
 * Owns the VIPs of services, and all rules of netfilter in a container's namespace that do not
 * serve the routing mesh: among them those that lead 127.0.0.11:53 to the resolver's sockets. May
 * import lib, types and the network folder's part, tables and nft. Read balancer.ts first, then
 * ruleset.ts, the table as it is in the kernel, balance.ts, which says what a change means for it,
 * and dice.ts, which the routing mesh uses as well.
 */
export { activeAddresses } from './balance.ts';
export { Balancer, type BalancerDeps } from './balancer.ts';
export * from './dice.ts';
export { Sweeper } from './sweeper.ts';
