/** What an update of the swarm makes of its object. */
import { SwarmError } from '../../lib/errors.ts';
import type { Cluster, ManagerLock, RootRotation, SwarmSpec } from '../../types/index.ts';
import type { ControlApi } from './api.ts';

export interface KeyMakers {
  /** A new join token for the root certificate. */
  readonly makeJoinToken: (rootCertPem: string) => string;
  /** A new key for managers to be locked with. */
  readonly makeUnlockKey: () => string;
}

type Update = Parameters<ControlApi['updateCluster']>[0];

export function updatedCluster(
  cluster: Cluster,
  args: Update & { readonly rotation?: RootRotation | undefined },
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
    spec: { ...args.spec, name: cluster.spec.name, ca: withoutSigner(args.spec.ca) },
    rootCa: {
      ...rootCa,
      joinTokens,
      ...(args.rotation === undefined ? {} : { rotation: args.rotation }),
    },
    ...(managerLock === undefined ? {} : { managerLock }),
    ...(args.rotateNetworkKeys === true
      ? { networkKeyRotation: (cluster.networkKeyRotation ?? 0) + 1 }
      : {}),
  };
}

/** What was given to sign with is kept with the root, and never shown again. */
function withoutSigner({
  signingCaCert: _cert,
  signingCaKey: _key,
  ...ca
}: SwarmSpec['ca']): SwarmSpec['ca'] {
  return ca;
}

/** A lock that is put on, changed, or taken off has a number above all earlier ones. */
function lockAfter(
  present: ManagerLock | undefined,
  args: Update,
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
