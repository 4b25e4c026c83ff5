/**
 * Owns the connections between managers: Raft's messages and snapshots over the cluster port. May
 * import lib, gen and raft. Read transport.ts first, then peer.ts.
 */
export { ManagerGroup, type GroupLog, type ManagerGroupParts } from './group.ts';
export { ManagerRecords, type ManagerRecordsParts } from './records.ts';
export { RoleKeeper, type RoleKeeperParts } from './roles.ts';
export { PeerTransport, type PeerTransportParts, type Receiver } from './transport.ts';
