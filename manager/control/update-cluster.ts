/** What an update of the swarm makes of its object. */
import { SwarmError } from '../../lib/errors.ts';
import type { Cluster, ManagerLock } from '../../types/index.ts';
import type { ControlApi } from './api.ts';

export interface KeyMakers {
  /** A new join token for the root certificate. */
  readonly makeJoinToken: (rootCertPem: string) => string;
  /** A new key for managers to be locked with. */
  readonly makeUnlockKey: () => string;
}

export function updatedCluster(
  cluster: Cluster,
  args: Parameters<ControlApi['updateCluster']>[0],
  { makeJoinToken, makeUnlockKey }: KeyMakers,
): Cluster {
  const { rootCa } = cluster;
  const { worker, manager } = rootCa.joinTokens;
  const joinTokens = {
    worker: args.rotateWorkerToken ? makeJoinToken(rootCa.certPem) : worker,
    manager: args.rotateManagerToken ? makeJoinToken(rootCa.certPem) : manager,
  };
  const managerLock = lockAfter(cluster.managerLock, args, makeUnlockKey);
  return {
    ...cluster,
    spec: { ...args.spec, name: cluster.spec.name },
    rootCa: { ...rootCa, joinTokens },
    ...(managerLock === undefined ? {} : { managerLock }),
  };
}

/** A lock that is put on, changed, or taken off has a number above all earlier ones. */
function lockAfter(
  present: ManagerLock | undefined,
  args: Parameters<ControlApi['updateCluster']>[0],
  makeUnlockKey: () => string,
): ManagerLock | undefined {
  const wasOn = present !== undefined && present.unlockKey !== '';
  const isOn = args.spec.encryption.autoLockManagers;
  const rotates = args.rotateManagerUnlockKey === true;
  if (rotates && !isOn) {
    throw new SwarmError(
      'failed-precondition',
      'cannot rotate because autolock is not turned on: there is no unlock key',
    );
  }
  if (wasOn === isOn && !rotates) return present;
  return { version: (present?.version ?? 0) + 1, unlockKey: isOn ? makeUnlockKey() : '' };
}
