/** What a manager's store stands on: a log of its own, replicated by Raft, or an external etcd. */
import { join } from 'node:path';
import { EtcdLog, RaftLog, type Store } from '../manager/store/index.ts';
import type { PeerTransport } from '../manager/peers/index.ts';
import { everyone, nodeDisk } from '../raft/index.ts';
import type { SwarmSpec } from '../types/index.ts';
import type { ManagerOptions, ManagerParts } from './manager.ts';

export interface ManagerLog {
  readonly log: RaftLog | EtcdLog;
  /** Encrypts what is written from now on with a new key. */
  renewStorageKey(): Promise<void>;
  /** Takes over what the swarm's settings say of the log. */
  tune(raft: SwarmSpec['raft']): void;
  /** Why the log takes nothing for now, in a sentence; empty when it does. */
  trouble(): string;
  /** Removes a swarm that ends with its last manager from where others could find it. */
  erase(): Promise<void>;
}

export function newManagerLog(
  { folder, bootstrap, forceNew, store }: ManagerOptions,
  { identity, keys, clock, random, log: logger, onFailure }: ManagerParts,
  { transport, onLeader }: { transport: PeerTransport; onLeader: () => void },
): ManagerLog {
  const common = {
    id: identity.nodeId,
    bootstrap: bootstrap !== undefined,
    ...(forceNew === undefined ? {} : { forceNew }),
    ...(bootstrap !== undefined && 'restored' in bootstrap ? { initial: bootstrap.restored } : {}),
  };
  if (store !== undefined) {
    const log = new EtcdLog(
      { ...common, store },
      { clock, log: logger.child({ module: 'etcd' }), onLeader },
    );
    // Nothing of it is on this host's disk.
    const trouble = () => '';
    return {
      log,
      trouble,
      tune: () => undefined,
      renewStorageKey: () => Promise.resolve(),
      erase: () => log.erase(),
    };
  }
  const log: RaftLog = new RaftLog(
    { ...common, folder: join(folder, 'raft') },
    {
      disk: nodeDisk,
      cipher: keys.cipher,
      transport,
      clock,
      random,
      log: logger.child({ module: 'raft' }),
      onLeader,
      onFailure,
      onMembership: (conf) => {
        if (log.status?.role === 'leader') transport.forgetOthers(everyone(conf));
      },
    },
  );
  transport.attach(log);
  const renewStorageKey = () => log.renewStorageKey();
  const trouble = () => log.trouble;
  const tune = (raft: SwarmSpec['raft']) => log.tune(raft);
  return { log, trouble, tune, renewStorageKey, erase: () => Promise.resolve() };
}

/** Has the log follow the swarm's settings for as long as it is not disposed of. */
export function followSettings(store: Store, log: Pick<ManagerLog, 'tune'>): Disposable {
  const look = () => {
    const raft = store.cluster()?.spec.raft;
    if (raft !== undefined) log.tune(raft);
  };
  look();
  return store.onChange(({ events, restored }) => {
    if (restored || events.some(({ table }) => table === 'cluster')) look();
  });
}
