/** The objects that the store of a new swarm begins with. */
import type { InitOptions } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import { createJoinToken } from '../lib/identity/index.ts';
import type { Random } from '../lib/random.ts';
import { newIngressNetwork } from '../manager/allocator/index.ts';
import type { RootCa } from '../manager/ca/index.ts';
import { createUnlockKey } from '../manager/keys/index.ts';
import type { Change } from '../manager/store/index.ts';
import type { Cluster, Node } from '../types/index.ts';

export function newCluster(
  id: string,
  root: RootCa,
  options: InitOptions,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Cluster {
  const nowMs = clock.nowMs();
  return {
    id,
    meta: { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs },
    spec: options.spec,
    rootCa: {
      ...root,
      joinTokens: {
        worker: createJoinToken(root.certPem, random),
        manager: createJoinToken(root.certPem, random),
      },
    },
    dataPathPort: options.dataPathPort,
    defaultAddressPools: options.defaultAddressPools,
    subnetSize: options.subnetSize,
    removedNodes: {},
    ...(options.spec.encryption.autoLockManagers
      ? { managerLock: { version: 1, unlockKey: createUnlockKey() } }
      : {}),
  };
}

export function firstNode(
  id: string,
  addr: string,
  availability: InitOptions['availability'],
  clock: Clock,
): Node {
  const nowMs = clock.nowMs();
  const host = addr.replace(/:\d+$/, '');
  return {
    id,
    meta: { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs },
    spec: { labels: {}, role: 'manager', availability },
    role: 'manager',
    status: { state: 'unknown', message: 'not heard of yet', addr: host, atMs: nowMs },
    manager: { addr, leader: true },
  };
}

/** With the routing mesh's network, which every swarm begins with. */
export function firstChanges(
  { cluster, node }: { readonly cluster: Cluster; readonly node: Node },
  random: Random,
): Change[] {
  const network = newIngressNetwork(cluster, random, [node.status.addr]);
  return [
    { op: 'put', table: 'cluster', object: cluster, base: 0 },
    { op: 'put', table: 'node', object: node, base: 0 },
    { op: 'put', table: 'network', object: network, base: 0 },
  ];
}
