/** A swarm's backup, made of the manager's own tables. */
import { encodeBackup, type Store } from '../manager/store/index.ts';

interface BackupSource {
  readonly store: Pick<Store, 'cluster' | 'snapshotParts'>;
  readonly clusterId: string;
  readonly createdAtMs: number;
  /** How far the tables have come. */
  readonly index: number;
}

/** A swarm that locks its keys does not give them away in the clear. */
export function backupOf(
  { store, ...info }: BackupSource,
  { passphrase: given }: { readonly passphrase?: string },
) {
  const unlockKey = store.cluster()?.managerLock?.unlockKey;
  const passphrase = given ?? (unlockKey === '' ? undefined : unlockKey);
  return {
    encrypted: passphrase !== undefined,
    parts: encodeBackup(info, store.snapshotParts(), passphrase),
  };
}
