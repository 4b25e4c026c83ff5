import { AssignmentChange_Action } from '../../gen/dispatcher_pb.js';
import { networkObjectTypes, type NetworkObjectType } from '../../types/index.ts';
import type { NetworkBook } from './network-book.ts';

export interface NetworkChange {
  readonly action: AssignmentChange_Action;
  readonly type: NetworkObjectType;
  readonly id: string;
  readonly object?: Uint8Array;
}

type Ids = { readonly [T in NetworkObjectType]: Set<string> };

const noIds = (): Ids => ({
  network: new Set(),
  peer: new Set(),
  'service-endpoint': new Set(),
  endpoint: new Set(),
});

/** What leans on others goes before them. */
const removalOrder = networkObjectTypes.toReversed();

/** Tracks what one node knows of networks, and says what it has to learn. */
export class NetworkFeed {
  readonly #book: NetworkBook;
  readonly #nodeId: string;
  readonly #known = noIds();
  /** In the order of the last change: what came first is told first. */
  readonly #dirty = noIds();
  #networks: ReadonlySet<string> = new Set();
  #peers: ReadonlySet<string> = new Set();
  #membersDirty = true;
  /** Networks that the node may have left and joined again: what it knows of them may be old. */
  readonly #doubtful = new Set<string>();

  constructor(book: NetworkBook, nodeId: string) {
    this.#book = book;
    this.#nodeId = nodeId;
  }

  get dirty(): boolean {
    return this.#membersDirty || networkObjectTypes.some((type) => this.#dirty[type].size > 0);
  }

  /** The object has changed. It need not concern the node. */
  mark(type: NetworkObjectType, id: string): void {
    const ids = this.#dirty[type];
    ids.delete(id);
    ids.add(id);
  }

  /**
   * Other nodes may concern the node. Where a network is named, the node itself came to it or left:
   * what changed on it meanwhile was not marked.
   */
  markMembers(networkId?: string): void {
    this.#membersDirty = true;
    if (networkId !== undefined) this.#doubtful.add(networkId);
  }

  /** All there is for the node; it is taken for one that knows nothing. */
  complete(): NetworkChange[] {
    for (const type of networkObjectTypes) {
      this.#dirty[type].clear();
      this.#known[type].clear();
    }
    this.#networks = new Set();
    this.#peers = new Set();
    this.#membersDirty = true;
    return this.incremental(Infinity);
  }

  /**
   * What has changed since, at most so many objects. Removals come first: an address that has come
   * free may be another's already.
   */
  incremental(changesMax: number): NetworkChange[] {
    this.#refresh();
    const changes: NetworkChange[] = [];
    for (const type of removalOrder) {
      for (const id of this.#dirty[type]) {
        if (this.#wanted(type, id) !== undefined) continue;
        if (changes.length >= changesMax) return changes;
        this.#dirty[type].delete(id);
        if (!this.#known[type].delete(id)) continue;
        changes.push({ action: AssignmentChange_Action.REMOVE, type, id });
      }
    }
    for (const type of networkObjectTypes) {
      for (const id of this.#dirty[type]) {
        const object = this.#wanted(type, id);
        if (object === undefined) continue;
        if (changes.length >= changesMax) return changes;
        this.#dirty[type].delete(id);
        this.#known[type].add(id);
        changes.push({ action: AssignmentChange_Action.UPDATE, type, id, object });
      }
    }
    return changes;
  }

  #wanted(type: NetworkObjectType, id: string): Uint8Array | undefined {
    const wanted =
      type === 'peer'
        ? this.#peers.has(id)
        : this.#networks.has(type === 'network' ? id : id.slice(0, id.indexOf('/')));
    return wanted ? this.#book.object(type, id) : undefined;
  }

  /** Finds out anew which networks and which nodes concern this one. */
  #refresh(): void {
    if (!this.#membersDirty) return;
    this.#membersDirty = false;
    const networks = this.#book.networksOf(this.#nodeId);
    const peers = new Set(networks.size === 0 ? [] : [this.#nodeId]);
    for (const networkId of networks) {
      for (const nodeId of this.#book.nodesOf(networkId)) peers.add(nodeId);
      if (!this.#networks.has(networkId) || this.#doubtful.has(networkId)) {
        this.#markNetwork(networkId);
      }
    }
    for (const networkId of this.#networks) {
      if (!networks.has(networkId) || this.#doubtful.has(networkId)) this.#markKnown(networkId);
    }
    this.#doubtful.clear();
    for (const id of peers.symmetricDifference(this.#peers)) this.mark('peer', id);
    this.#networks = networks;
    this.#peers = peers;
  }

  #markNetwork(networkId: string): void {
    this.mark('network', networkId);
    for (const id of this.#book.servicesOf(networkId)) this.mark('service-endpoint', id);
    for (const id of this.#book.endpointsOf(networkId)) this.mark('endpoint', id);
  }

  #markKnown(networkId: string): void {
    this.mark('network', networkId);
    for (const type of ['service-endpoint', 'endpoint'] as const) {
      for (const id of this.#known[type]) if (id.startsWith(`${networkId}/`)) this.mark(type, id);
    }
  }
}
