/**
 * Owns the consensus algorithm as a pure state machine: no clock, no input or output, no promises,
 * no randomness but what it is given. Imports nothing outside this folder. Read types.ts first
 * (what goes in and out), then raft.ts, which hands messages to election.ts, replication.ts and
 * reads.ts.
 */
export * from './types.ts';
export { InvariantError } from './assert.ts';
export {
  ConfChangeError,
  decodeConfChange,
  emptyConf,
  encodeConfChange,
  everyone,
  isJoint,
} from './membership.ts';
export { Raft, type RaftStart } from './raft.ts';
export type { RaftConfig } from './state.ts';
