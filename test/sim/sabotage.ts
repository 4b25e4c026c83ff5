/** Where a planted bug takes hold: all that goes in and out of the core, and comes to disk. */
import type { Message, NodeId, Raft, RaftConfig, Ready } from '../../raft/index.ts';
import type { DiskRecord, ModelDisk } from './model-disk.ts';

export interface Sabotage {
  config(config: RaftConfig): RaftConfig;
  make(id: NodeId, make: () => Raft): Raft;
  /** Undefined: the message is not to be stepped. */
  receive(message: Message, raft: Raft, disk: ModelDisk): Message | undefined;
  /** After each call into the core. */
  after(raft: Raft): void;
  ready(ready: Ready, applied: number): Ready;
  records(records: readonly DiskRecord[]): readonly DiskRecord[];
  beforeConfChange(raft: Raft): void;
}

/** Changes nothing. */
export const honest: Sabotage = {
  config: (config) => config,
  make: (_id, make) => make(),
  receive: (message) => message,
  after: () => {},
  ready: (ready) => ready,
  records: (records) => records,
  beforeConfChange: () => {},
};
