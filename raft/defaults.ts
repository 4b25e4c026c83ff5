/** What does well on a local network and a usual disk; whoever knows better says so. */
import type { RaftConfig } from './core/index.ts';
import type { NodeOptions } from './node/index.ts';

const mebibyte = 1 << 20;

/** With ticks of 50 ms an election begins after 0.7 to 1.4 s without a leader. */
export const raftDefaults: Omit<RaftConfig, 'id' | 'random'> = {
  electionTicks: 14,
  heartbeatTicks: 2,
  maxAppendBytes: mebibyte,
  maxInflight: 256,
  maxApplyBytes: 4 * mebibyte,
  maxUncommittedBytes: 64 * mebibyte,
  preVote: true,
  checkQuorum: true,
  reads: 'quorum',
  forwardProposals: false,
};

export const nodeDefaults: Omit<NodeOptions, 'raft' | 'storage' | 'bootstrap' | 'initial'> = {
  tickMs: 50,
  snapshotEntries: 10_000,
  snapshotBytes: 64 * mebibyte,
  keepEntries: 500,
  maxProposals: 10_000,
};
