/** What an update of the swarm makes of its object. */
import { SwarmError } from '../../lib/errors.ts';
import { isDeepStrictEqual } from 'node:util';
import { isSameCertificate } from '../ca/index.ts';
import type {
  Cluster,
  ExternalCa,
  ManagerLock,
  RootRotation,
  SwarmSpec,
} from '../../types/index.ts';
import type { ControlApi } from './api.ts';

export interface KeyMakers {
  /** A new join token for the root certificate. */
  readonly makeJoinToken: (rootCertPem: string) => string;
  /** A new key for managers to be locked with. */
  readonly makeUnlockKey: () => string;
}

/** A new swarm makes its own root, and a root is not changed and handed over in one step. */
export const externalAfterRoot =
  "an external CA signs with the swarm's root: bring that in first, by swarm ca --rotate with " +
  '--ca-cert and --ca-key, and then name the CA by swarm update --external-ca';

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
  const externalCas = externalAfter(cluster, args);
  return {
    ...cluster,
    spec: {
      ...args.spec,
      name: cluster.spec.name,
      ca: { ...withoutSigner(args.spec.ca), ...(externalCas === undefined ? {} : { externalCas }) },
    },
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

/**
 * Each with the root that it signs with, so that it is passed over once the swarm has another. What
 * was there before stays as it is. Throws `invalid-argument` for one of another root.
 */
function externalAfter(
  { rootCa, spec }: Cluster,
  args: Update & { readonly rotation?: RootRotation | undefined },
): ExternalCa[] | undefined {
  const known = spec.ca.externalCas ?? [];
  return args.spec.ca.externalCas?.map((one) => {
    if (known.some((other) => isDeepStrictEqual(other, one))) return one;
    if (args.rotation !== undefined || rootCa.rotation !== undefined) {
      throw new SwarmError('invalid-argument', externalAfterRoot);
    }
    const { caCert = '' } = one;
    if (caCert === '') return { ...one, caCert: rootCa.certPem };
    if (isSameCertificate(caCert, rootCa.certPem)) return one;
    throw new SwarmError(
      'invalid-argument',
      `the external CA ${one.url} signs with another root than this swarm's: ${externalAfterRoot}`,
    );
  });
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
