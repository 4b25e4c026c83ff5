/**
 * Owns the durable log and the snapshots of a state machine on one disk. Imports nothing but Node.
 * Read log.ts first, then record.ts (what is on the disk) and recovery.ts (what a crash leaves).
 */
export { AesCipher, aesKeyBytes, aesKeyId } from './aes-cipher.ts';
export type { Cipher } from './cipher.ts';
export type { Disk, DiskFile, DiskLock } from './disk.ts';
export { LogError, type LogErrorCode } from './errors.ts';
export { Log, type LogEntry, type LogOptions } from './log.ts';
export { MemoryDisk, type CrashMode, type DiskOperation } from './memory-disk.ts';
export { nodeDisk } from './node-disk.ts';
export type { TornTail } from './recovery.ts';
export { Snapshots, type SnapshotInfo } from './snapshots.ts';
