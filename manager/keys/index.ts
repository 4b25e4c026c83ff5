/**
 * Owns the keys that a manager's secrets on disk are encrypted with, and the lock on them. May
 * import lib, types, raft and the store's contracts. Read key-store.ts first.
 */
export { KeyStore, type KeyStoreParts } from './key-store.ts';
export { LockKeeper, type LockKeeperParts } from './lock-keeper.ts';
export { createUnlockKey, parseUnlockKey, swarmLocked } from './unlock-key.ts';
