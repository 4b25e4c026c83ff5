/**
 * Owns how containers find each other by name: the sockets at 127.0.0.11, the swarm's names, and
 * the way to other name servers. May import lib, types and the network folder's part, tables,
 * namespace and syscalls. Read resolver.ts first, then answer.ts, which decides what is answered.
 */
export { resolverAddress } from './ports.ts';
export { Resolver, type ResolverDeps, type ResolverOptions } from './resolver.ts';
