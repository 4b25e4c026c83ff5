/** What the node knows of the swarm's networks, as the managers last said it. */
import type {
  AssignedEndpoint,
  AssignedNetwork,
  AssignedPeer,
  AssignedServiceEndpoint,
  NetworkAssignments,
  NetworkObjects,
  NetworkObjectType,
} from '../../types/index.ts';
import { networkObjectTypes } from '../../types/index.ts';

/** What an assignment set changed, for parts that follow the tables. */
export interface NetworkDelta {
  /** Networks of which anything has changed: themselves, endpoints, services. */
  readonly networkIds: ReadonlySet<string>;
  /** Peers that came, went or changed; endpoints on them may have to be reached another way. */
  readonly peerIds: ReadonlySet<string>;
  readonly changes: readonly {
    readonly type: NetworkObjectType;
    readonly id: string;
    /** Absent where it came. */
    readonly old?: NetworkObjects[NetworkObjectType];
    /** Absent where it went. */
    readonly object?: NetworkObjects[NetworkObjectType];
  }[];
}

type Rows = { readonly [T in NetworkObjectType]: Map<string, NetworkObjects[T]> };

export class NetworkTables {
  readonly #rows: Rows = {
    network: new Map(),
    peer: new Map(),
    endpoint: new Map(),
    'service-endpoint': new Map(),
  };
  readonly #endpoints = new Map<string, Map<string, AssignedEndpoint>>();
  readonly #services = new Map<string, Map<string, AssignedServiceEndpoint>>();

  apply(set: NetworkAssignments): NetworkDelta {
    const changes: NetworkDelta['changes'][number][] = [];
    const kept = new Set<string>();
    for (const { type, object } of set.update) {
      kept.add(`${type} ${object.id}`);
      const old = this.#rows[type].get(object.id);
      this.#put(type, object);
      changes.push({ type, id: object.id, object, ...(old === undefined ? {} : { old }) });
    }
    const gone = set.complete ? this.#others(kept) : set.remove;
    for (const { type, id } of gone) {
      const old = this.#delete(type, id);
      if (old !== undefined) changes.push({ type, id, old });
    }
    const networkIds = new Set<string>();
    const peerIds = new Set<string>();
    for (const { type, id, old, object } of changes) {
      if (type === 'peer') peerIds.add(id);
      else networkIds.add(networkIdOf(object ?? old, id));
    }
    return { networkIds, peerIds, changes };
  }

  network(id: string): AssignedNetwork | undefined {
    return this.#rows.network.get(id);
  }
  networks(): Iterable<AssignedNetwork> {
    return this.#rows.network.values();
  }
  peer(nodeId: string): AssignedPeer | undefined {
    return this.#rows.peer.get(nodeId);
  }
  peers(): Iterable<AssignedPeer> {
    return this.#rows.peer.values();
  }
  endpointsOf(networkId: string): Iterable<AssignedEndpoint> {
    return this.#endpoints.get(networkId)?.values() ?? [];
  }
  servicesOf(networkId: string): Iterable<AssignedServiceEndpoint> {
    return this.#services.get(networkId)?.values() ?? [];
  }

  #others(kept: ReadonlySet<string>): { type: NetworkObjectType; id: string }[] {
    return networkObjectTypes.flatMap((type) =>
      [...this.#rows[type].keys()]
        .filter((id) => !kept.has(`${type} ${id}`))
        .map((id) => ({ type, id })),
    );
  }

  #put(type: NetworkObjectType, object: NetworkObjects[NetworkObjectType]): void {
    (this.#rows[type] as Map<string, NetworkObjects[NetworkObjectType]>).set(object.id, object);
    const group = this.#groupsOf(type);
    if (group === undefined) return;
    const networkId = networkIdOf(object, object.id);
    let members = group.get(networkId);
    if (members === undefined) group.set(networkId, (members = new Map<string, never>()));
    members.set(object.id, object as never);
  }

  #delete(type: NetworkObjectType, id: string): NetworkObjects[NetworkObjectType] | undefined {
    const old = this.#rows[type].get(id);
    if (old === undefined) return undefined;
    this.#rows[type].delete(id);
    const group = this.#groupsOf(type);
    const networkId = networkIdOf(old, id);
    const members = group?.get(networkId);
    members?.delete(id);
    if (members?.size === 0) group?.delete(networkId);
    return old;
  }

  #groupsOf(type: NetworkObjectType): Map<string, Map<string, never>> | undefined {
    if (type === 'endpoint') return this.#endpoints as Map<string, Map<string, never>>;
    if (type === 'service-endpoint') return this.#services as Map<string, Map<string, never>>;
    return undefined;
  }
}

function networkIdOf(object: object | undefined, id: string): string {
  return object !== undefined && 'networkId' in object ? String(object.networkId) : id;
}
