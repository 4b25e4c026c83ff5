/**
 * Owns how rules reach netfilter: tables as they are written down, batches over a socket, and what
 * connection tracking remembers. Knows nothing of services. May import lib and the network folder's
 * netlink, namespace and syscalls. Read table.ts first, then expressions.ts and socket.ts.
 */
export { difference, structureDifference } from './compare.ts';
export { forget, forgetServers, type Connections, type ServerState } from './conntrack.ts';
export { addElements, removeElements, type SetElement } from './elements.ts';
export * from './expressions.ts';
export { Netfilter } from './netfilter.ts';
export type { DataType } from './numbers.ts';
export { NetfilterSocket } from './socket.ts';
export {
  addChain,
  addTable,
  priorities,
  removeTable,
  type BaseChain,
  type Chain,
  type NamedSet,
  type Rule,
  type Table,
  type TableName,
} from './table.ts';
