import { SwarmError } from '../errors.ts';

export type NodeRole = 'worker' | 'manager';

/** A node of this swarm, as its certificate says and the root vouches for. */
export interface NodePeer {
  readonly nodeId: string;
  readonly role: NodeRole;
  readonly clusterId: string;
  /** When its certificate ends, milliseconds since the epoch. */
  readonly notAfterMs: number;
}

/** Who may call a service. Managers are nodes, too. */
export type Allow = 'anyone' | 'nodes' | 'managers';

/** Lets the peer pass or throws `unauthenticated` or `permission-denied`, saying what to do. */
export function authorise(peer: NodePeer | undefined, allow: Allow): NodePeer | undefined {
  if (allow === 'anyone') return peer;
  if (peer === undefined) {
    throw new SwarmError(
      'unauthenticated',
      'this call needs the certificate of a node, and none was shown; join the swarm first',
    );
  }
  if (allow === 'managers' && peer.role !== 'manager') {
    throw new SwarmError(
      'permission-denied',
      `node ${peer.nodeId} is a worker, and this call is for managers only; ` +
        `promote it with "ts-swarm node promote" on a manager`,
    );
  }
  return peer;
}
