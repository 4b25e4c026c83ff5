/** A fresh daemon that is to become the first manager of the swarm that a backup holds. */
import { rm } from 'node:fs/promises';
import type { RestoreOptions } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import { NodeIdentity } from '../lib/identity/index.ts';
import { issueForSelf } from '../manager/ca/index.ts';
import { openBackup, restoredState } from '../manager/store/index.ts';
import { resolveAdvertiseAddr, resolveDataPathAddr, resolveListenAddr } from './addresses.ts';
import type { Bootstrap } from './manager.ts';
import type { Membership } from './membership.ts';
import { firstNode } from './new-swarm.ts';

interface Restoration {
  readonly membership: Membership;
  readonly identity: NodeIdentity;
  readonly bootstrap: Bootstrap;
}

/**
 * Makes all that the daemon needs to begin: a new identity, signed by the backup's own root, so
 * that the swarm's nodes trust it; and the state as of the backup, with this node as its manager.
 * Throws SwarmError before it writes anything where the backup or an address is no good.
 */
export async function prepareRestore(
  options: RestoreOptions,
  parts: { readonly folder: string; readonly identityFolder: string; readonly clock: Clock },
): Promise<Restoration> {
  const { clock } = parts;
  const listenAddr = resolveListenAddr(options.listenAddr);
  const advertiseAddr = resolveAdvertiseAddr(options.advertiseAddr, listenAddr);
  const dataPathAddr = resolveDataPathAddr(options.dataPathAddr, advertiseAddr);
  const { cluster } = openBackup(options.backup);
  const clusterId = cluster.id;
  const lifeMs = cluster.spec.ca.nodeCertExpiryMs;
  const subject = { role: 'manager', clusterId } as const;
  const material = await issueForSelf(cluster.rootCa, subject, { lifeMs, clock });
  // The node is in no swarm: whatever lies there is of an attempt that a crash cut short.
  await rm(parts.folder, { recursive: true, force: true });
  const identity = await NodeIdentity.create(parts.identityFolder, material, clock);
  const { nodeId } = identity;
  const node = firstNode(nodeId, advertiseAddr, options.availability, clock);
  return {
    membership: {
      clusterId,
      nodeId,
      isManager: true,
      listenAddr,
      advertiseAddr,
      dataPathAddr,
    },
    identity,
    bootstrap: { restored: restoredState(options.backup, node) },
  };
}
