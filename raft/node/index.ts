/**
 * Owns the driver of the consensus core on a disk and a network. Imports raft/core and raft/log.
 * Read ports.ts (what it needs) first, then node.ts; storage.ts maps Readies to the log.
 */
export { RaftError, type RaftErrorCode } from './errors.ts';
export { HardStateWriter } from './hard-state.ts';
export { RaftNode } from './node.ts';
export type {
  InitialState,
  Machine,
  NodeOptions,
  NodePorts,
  RaftStatus,
  Transport,
} from './ports.ts';
export { recoverAlone } from './recover.ts';
export { Storage, type StorageOptions } from './storage.ts';
