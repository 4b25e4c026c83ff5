/**
 * Owns the swarm's objects: tables, their indexes, what log entries do to them, watches, snapshots,
 * and the log that managers stand on. May import lib, types and raft. Read change.ts (what
 * is written), view.ts (what is read) and store.ts first; apply.ts is the heart.
 */
export { decodeBackup, encodeBackup, type Backup, type BackupInfo } from './backup-file.ts';
export * from './change.ts';
export { parseStore, type ExternalStore } from './etcd/address.ts';
export { EtcdLog, type EtcdLogOptions } from './etcd/etcd-log.ts';
export * from './event.ts';
export * from './log.ts';
export { isLogLost, isUntried, noLeader, untriedError } from './raft-errors.ts';
export { RaftLog, type RaftLogOptions, type RaftLogParts } from './raft-log.ts';
export { openBackup, restoredState, type InitialState } from './restored.ts';
export { Store } from './store.ts';
export * from './view.ts';
export type { WatchOptions } from './watch.ts';
