import type {
  AssignedEndpoint,
  Cluster,
  NetworkObjects,
  NetworkObjectType,
  Service,
  Task,
} from '../../types/index.ts';
import type { ObjectEvent } from '../store/event.ts';
import type { StoreView } from '../store/view.ts';
import {
  assignedEndpoint,
  assignedNetwork,
  assignedPeer,
  assignedServiceEndpoint,
  isOn,
  networksOfService,
  serves,
  standing,
} from './network-objects.ts';
import { encodeJson } from './wire.ts';

type BookView = Pick<
  StoreView,
  | 'cluster'
  | 'ingressNetwork'
  | 'network'
  | 'networks'
  | 'node'
  | 'nodes'
  | 'service'
  | 'services'
  | 'task'
  | 'tasks'
  | 'tasksOfNode'
  | 'tasksOfService'
>;

/** What a change of the store makes of the book: those who tell the nodes listen. */
export interface BookListener {
  /** It came, changed or went. `networkId` is empty for peers. */
  object(type: NetworkObjectType, id: string, networkId: string): void;
  /** The node's first task came to the network, or its last one left. */
  membership(networkId: string, nodeId: string): void;
  /** A node came or went; or the routing mesh did, whose network's id is given. */
  everyone(networkId?: string): void;
}

const noListener: BookListener = { object() {}, membership() {}, everyone() {} };

/** What is on one network, by the ids of the objects. */
interface Shelf {
  /** With the node that each is on. */
  readonly endpoints: Map<string, string>;
  readonly services: Set<string>;
  /** How many endpoints each node has. */
  readonly nodes: Map<string, number>;
}

/** Keys that are to be looked at again, each once, those of a network together. */
class Dirty {
  readonly networks = new Set<string>();
  readonly peers = new Set<string>();
  readonly services = new Map<string, Set<string>>();
  readonly endpoints = new Map<string, Set<string>>();
  /** Services, as the tasks that stand in for one another. */
  readonly groups = new Map<string, Set<string>>();

  static add(sets: Map<string, Set<string>>, networkId: string, id: string): void {
    const ids = sets.get(networkId);
    if (ids === undefined) sets.set(networkId, new Set([id]));
    else ids.add(id);
  }

  task({ id, serviceId, networks }: Task): void {
    for (const { networkId } of networks ?? []) {
      Dirty.add(this.endpoints, networkId, id);
      if (serviceId !== '') Dirty.add(this.groups, networkId, serviceId);
    }
  }

  service(service: Service, ingressId: string | undefined): void {
    for (const networkId of networksOfService(service, ingressId)) {
      Dirty.add(this.services, networkId, service.id);
    }
  }
}

/**
 * What there is to tell nodes of networks: computed from the store and kept up by its events, so
 * that a change costs what it changes, not what there is. Each object is encoded once, for all
 * nodes. Pure: it may be made anew at any time.
 */
export class NetworkBook {
  readonly #view: BookView;
  readonly #objects: { readonly [T in NetworkObjectType]: Map<string, Buffer> } = {
    network: new Map(),
    peer: new Map(),
    'service-endpoint': new Map(),
    endpoint: new Map(),
  };
  readonly #shelves = new Map<string, Shelf>();
  readonly #networksByNode = new Map<string, Set<string>>();
  /** `<network id>/<service id>`: all tasks that serve are on suspect nodes, and count for good. */
  readonly #keptGroups = new Set<string>();
  #ingressId: string | undefined;
  #version = 0;

  constructor(view: BookView) {
    this.#view = view;
    this.#ingressId = view.ingressNetwork()?.id;
    const dirty = new Dirty();
    for (const { id } of view.networks()) dirty.networks.add(id);
    for (const { id } of view.nodes()) dirty.peers.add(id);
    for (const service of view.services()) dirty.service(service, this.#ingressId);
    for (const task of view.tasks()) dirty.task(task);
    this.#update(dirty, noListener);
  }

  /** Rises with every change of any object. */
  get version(): number {
    return this.#version;
  }

  /** JSON, shared by all who are told of it. */
  object(type: NetworkObjectType, id: string): Buffer | undefined {
    return this.#objects[type].get(id);
  }

  /** The networks that the node is to know: those of its tasks, and the routing mesh's. */
  networksOf(nodeId: string): Set<string> {
    const ids = new Set(this.#networksByNode.get(nodeId));
    if (this.#ingressId !== undefined) ids.add(this.#ingressId);
    return ids;
  }

  /** The nodes that are to know the network. */
  nodesOf(networkId: string): Iterable<string> {
    if (networkId === this.#ingressId) return Iterator.from(this.#view.nodes()).map(({ id }) => id);
    return this.#shelves.get(networkId)?.nodes.keys() ?? [];
  }

  endpointsOf(networkId: string): Iterable<string> {
    return this.#shelves.get(networkId)?.endpoints.keys() ?? [];
  }
  servicesOf(networkId: string): Iterable<string> {
    return this.#shelves.get(networkId)?.services ?? [];
  }

  /** What one log entry has changed. */
  changed(events: readonly ObjectEvent[], listener: BookListener): void {
    const dirty = new Dirty();
    for (const event of events) this.#mark(dirty, event, listener);
    this.#update(dirty, listener);
  }

  #mark(dirty: Dirty, event: ObjectEvent, listener: BookListener): void {
    switch (event.table) {
      case 'task':
        dirty.task(event.object);
        if (event.old !== undefined && event.old.networks !== event.object.networks) {
          dirty.task(event.old);
        }
        return;
      case 'service':
        dirty.service(event.object, this.#ingressId);
        if (event.old !== undefined) dirty.service(event.old, this.#ingressId);
        return;
      case 'node':
        this.#markNode(dirty, event);
        if (event.action !== 'update') listener.everyone();
        return;
      case 'network':
        this.#markNetwork(dirty, event, listener);
        return;
      case 'cluster':
        if (!concernsNetworks(event.object, event.old)) return;
        for (const { id } of this.#view.networks()) dirty.networks.add(id);
        return;
    }
  }

  #markNode(dirty: Dirty, { action, object, old }: ObjectEvent & { table: 'node' }): void {
    dirty.peers.add(object.id);
    if (action === 'update' && standing(old) === standing(object)) return;
    for (const task of this.#view.tasksOfNode(object.id)) dirty.task(task);
  }

  /** Services are on networks by names that may come to mean something, or cease to. */
  #markNetwork(
    dirty: Dirty,
    { action, object }: ObjectEvent & { table: 'network' },
    listener: BookListener,
  ): void {
    dirty.networks.add(object.id);
    if (action === 'update') {
      for (const id of this.servicesOf(object.id)) {
        Dirty.add(dirty.services, object.id, id.slice(object.id.length + 1));
      }
    }
    const before = this.#ingressId;
    this.#ingressId = this.#view.ingressNetwork()?.id;
    if (before !== this.#ingressId) {
      for (const id of [before, this.#ingressId]) if (id !== undefined) listener.everyone(id);
    } else if (action === 'update') {
      return;
    }
    for (const service of this.#view.services()) {
      dirty.service(service, before);
      dirty.service(service, this.#ingressId);
    }
  }

  #update(dirty: Dirty, listener: BookListener): void {
    for (const [networkId, serviceIds] of dirty.groups) {
      for (const serviceId of serviceIds) this.#judgeGroup(dirty, networkId, serviceId);
    }
    for (const id of dirty.networks) {
      const network = this.#view.network(id);
      this.#put(
        listener,
        'network',
        id,
        network && assignedNetwork(network, this.#view.cluster()),
        id,
      );
    }
    for (const id of dirty.peers) {
      const node = this.#view.node(id);
      this.#put(listener, 'peer', id, node && assignedPeer(node), '');
    }
    for (const [networkId, ids] of dirty.services) {
      for (const id of ids) {
        const object = this.#serviceEndpoint(networkId, id);
        this.#put(listener, 'service-endpoint', `${networkId}/${id}`, object, networkId);
      }
    }
    for (const [networkId, ids] of dirty.endpoints) {
      for (const id of ids) this.#putEndpoint(listener, networkId, id);
    }
  }

  /** Where every task that serves is on a suspect node, the suspicion counts for nothing. */
  #judgeGroup(dirty: Dirty, networkId: string, serviceId: string): void {
    const serving = [];
    const standings = new Set<string>();
    for (const task of this.#view.tasksOfService(serviceId)) {
      if (!serves(task) || !isOn(task, networkId)) continue;
      serving.push(task.id);
      standings.add(standing(this.#view.node(task.nodeId)));
    }
    const keep = standings.has('suspect') && !standings.has('good');
    const key = `${networkId}/${serviceId}`;
    if (keep === this.#keptGroups.has(key)) return;
    if (keep) this.#keptGroups.add(key);
    else this.#keptGroups.delete(key);
    for (const id of serving) Dirty.add(dirty.endpoints, networkId, id);
  }

  #serviceEndpoint(networkId: string, id: string): NetworkObjects['service-endpoint'] | undefined {
    const service = this.#view.service(id);
    const network = this.#view.network(networkId);
    if (service === undefined || network === undefined) return undefined;
    if (!networksOfService(service, this.#ingressId).has(networkId)) return undefined;
    return assignedServiceEndpoint(service, network);
  }

  #putEndpoint(listener: BookListener, networkId: string, taskId: string): void {
    const task = this.#view.task(taskId);
    const object =
      task && assignedEndpoint(task, networkId, serves(task) && this.#trusts(task, networkId));
    this.#count(listener, networkId, `${networkId}/${taskId}`, object);
    this.#put(listener, 'endpoint', `${networkId}/${taskId}`, object, networkId);
  }

  #trusts({ nodeId, serviceId }: Task, networkId: string): boolean {
    const node = standing(this.#view.node(nodeId));
    if (node !== 'suspect') return node === 'good';
    // A container of no service has none that could stand in for it.
    return serviceId === '' || this.#keptGroups.has(`${networkId}/${serviceId}`);
  }

  /** Keeps account of who is on which network. */
  #count(
    listener: BookListener,
    networkId: string,
    id: string,
    object: AssignedEndpoint | undefined,
  ): void {
    const before = this.#shelves.get(networkId)?.endpoints.get(id);
    const after = object?.nodeId;
    if (before === after) return;
    const { endpoints, nodes } = this.#shelf(networkId);
    if (after === undefined) endpoints.delete(id);
    else endpoints.set(id, after);
    for (const [nodeId, change] of [
      [after, 1],
      [before, -1],
    ] as const) {
      if (nodeId === undefined) continue;
      const count = (nodes.get(nodeId) ?? 0) + change;
      if (count === 0) nodes.delete(nodeId);
      else nodes.set(nodeId, count);
      if (count === 0 || (count === 1 && change === 1)) {
        this.#join(networkId, nodeId, count === 1);
        listener.membership(networkId, nodeId);
      }
    }
  }

  #join(networkId: string, nodeId: string, joins: boolean): void {
    const ids = this.#networksByNode.get(nodeId) ?? new Set<string>();
    if (joins) ids.add(networkId);
    else ids.delete(networkId);
    if (ids.size === 0) this.#networksByNode.delete(nodeId);
    else this.#networksByNode.set(nodeId, ids);
  }

  #put(
    listener: BookListener,
    type: NetworkObjectType,
    id: string,
    object: NetworkObjects[NetworkObjectType] | undefined,
    networkId: string,
  ): void {
    const objects = this.#objects[type];
    const old = objects.get(id);
    const encoded = object === undefined ? undefined : encodeJson(object);
    if (encoded === undefined ? old === undefined : old?.equals(encoded) === true) return;
    this.#version += 1;
    if (encoded === undefined) objects.delete(id);
    else objects.set(id, encoded);
    if (type === 'service-endpoint') {
      const { services } = this.#shelf(networkId);
      if (encoded === undefined) services.delete(id);
      else services.add(id);
    }
    if (encoded === undefined) this.#tidy(networkId);
    listener.object(type, id, networkId);
  }

  #shelf(networkId: string): Shelf {
    let shelf = this.#shelves.get(networkId);
    if (shelf === undefined) {
      shelf = { endpoints: new Map(), services: new Set(), nodes: new Map() };
      this.#shelves.set(networkId, shelf);
    }
    return shelf;
  }

  /** Networks come and go: an empty shelf is not kept. */
  #tidy(networkId: string): void {
    const shelf = this.#shelves.get(networkId);
    if (shelf?.endpoints.size === 0 && shelf.services.size === 0) this.#shelves.delete(networkId);
  }
}

function concernsNetworks(cluster: Cluster, old: Cluster | undefined): boolean {
  return (
    cluster.dataPathPort !== old?.dataPathPort ||
    cluster.networkKeyRotation !== old.networkKeyRotation
  );
}
