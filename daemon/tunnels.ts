/** The ways from a manager to the nodes: its own, and by way of the leader. */
import { duplexPair, type Duplex } from 'node:stream';
import { Tunnel, TunnelReach } from '../gen/tunnel_pb.js';
import type { ClusterServer } from '../lib/grpc/index.ts';
import {
  forwardedTunnel,
  serveTunnelReach,
  TunnelBroker,
  type TunnelBrokerParts,
} from '../manager/dispatcher/index.ts';
import type { LeaderLink } from './leader-link.ts';

export interface TunnelsParts extends TunnelBrokerParts {
  readonly identity: { readonly nodeId: string };
  readonly store: TunnelBrokerParts['store'] & { readonly isLeader: boolean };
  readonly leader: Pick<LeaderLink, 'client'>;
  /** What this host serves to managers. */
  readonly serveTunnel: (socket: Duplex) => void;
}

export class Tunnels {
  readonly #parts: TunnelsParts;
  readonly #broker: TunnelBroker;

  constructor(parts: TunnelsParts) {
    this.#parts = parts;
    this.#broker = new TunnelBroker(parts);
  }

  addTo(server: ClusterServer): void {
    server.addService(Tunnel, this.#broker.handlers, { allow: 'nodes' });
    server.addService(TunnelReach, serveTunnelReach(this.#broker), { allow: 'managers' });
  }

  /** A connection to what the node serves to managers. Throws `unavailable` with the reason. */
  async reach(nodeId: string, options: { readonly signal?: AbortSignal }): Promise<Duplex> {
    const { identity, store, leader, serveTunnel } = this.#parts;
    if (nodeId === identity.nodeId) {
      const [near, far] = duplexPair();
      serveTunnel(far);
      return near;
    }
    return store.isLeader
      ? await this.#broker.open(nodeId, options)
      : await forwardedTunnel(leader.client(TunnelReach), nodeId, options);
  }
}
