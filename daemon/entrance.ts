/** How a host gets into a swarm: as the first manager of a new one, or by a token. */
import type { InitOptions, JoinOptions } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import { joinCluster, NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { createRootCa, issueForSelf } from '../manager/ca/index.ts';
import { resolveAdvertiseAddr, resolveDataPathAddr, resolveListenAddr } from './addresses.ts';
import { checkedStore } from './external-store.ts';
import type { Membership } from './membership.ts';
import { firstNode, newCluster } from './new-swarm.ts';
import type { Beginning } from './swarm-part.ts';

/** Who this host is to be, and what its part in the swarm begins with. */
export interface Entrance {
  readonly membership: Membership;
  readonly identity: NodeIdentity;
  readonly beginning: Beginning;
}

interface Parts {
  readonly identityFolder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Throws SwarmError before it writes anything where an address is no good. */
export async function prepareInit(options: InitOptions, parts: Parts): Promise<Entrance> {
  const { clock, random, identityFolder } = parts;
  const addrs = addrsOf(options);
  const store = checkedStore(options);
  const root = await createRootCa(clock);
  const clusterId = random.id();
  const lifeMs = options.spec.ca.nodeCertExpiryMs;
  const material = await issueForSelf(root, { role: 'manager', clusterId }, { lifeMs, clock });
  const identity = await NodeIdentity.create(identityFolder, material, clock);
  const { nodeId } = identity;
  const cluster = newCluster(clusterId, root, options, parts);
  const node = firstNode(nodeId, addrs.advertiseAddr, options.availability, clock);
  return {
    membership: { clusterId, nodeId, isManager: true, ...addrs },
    identity,
    beginning: { bootstrap: { cluster, node }, ...store },
  };
}

/** Throws SwarmError where no manager can be reached, or none takes the token. */
export async function prepareJoin(
  options: JoinOptions,
  { identityFolder, clock, log }: Parts,
  signal: AbortSignal,
): Promise<Entrance> {
  const addrs = addrsOf(options);
  const { remoteAddrs, joinToken: token, availability } = options;
  const { identity, role, addr } = await joinCluster(
    { remoteAddrs, token, availability, folder: identityFolder },
    { clock, log },
    { signal },
  );
  const { clusterId, nodeId } = identity;
  const isManager = role === 'manager';
  return {
    membership: { clusterId, nodeId, isManager, ...addrs, joinedThrough: addr },
    identity,
    beginning: { joining: signal },
  };
}

/** As the only manager of a swarm that has lost its others; with new addresses, if given. */
export function aloneOf(
  { joinedThrough: _lost, ...rest }: Membership,
  options: Pick<InitOptions, 'listenAddr' | 'advertiseAddr'>,
): Membership {
  const listenAddr =
    options.listenAddr === '' ? rest.listenAddr : resolveListenAddr(options.listenAddr);
  const advertiseAddr =
    options.advertiseAddr === ''
      ? rest.advertiseAddr
      : resolveAdvertiseAddr(options.advertiseAddr, listenAddr);
  return { ...rest, listenAddr, advertiseAddr };
}

function addrsOf(
  options: Pick<InitOptions, 'listenAddr' | 'advertiseAddr' | 'dataPathAddr'>,
): Pick<Membership, 'listenAddr' | 'advertiseAddr' | 'dataPathAddr'> {
  const listenAddr = resolveListenAddr(options.listenAddr);
  const advertiseAddr = resolveAdvertiseAddr(options.advertiseAddr, listenAddr);
  const dataPathAddr = resolveDataPathAddr(options.dataPathAddr, advertiseAddr);
  return { listenAddr, advertiseAddr, dataPathAddr };
}
