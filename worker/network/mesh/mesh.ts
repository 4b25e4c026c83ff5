/**
 * The routing mesh: every node answers on every published port, wherever the service's tasks are,
 * and the tasks see who asks. rulesets.ts says how; this follows the tables.
 */
import type { Clock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type {
  AssignedEndpoint,
  AssignedNetwork,
  AssignedServiceEndpoint,
  PortConfig,
} from '../../../types/index.ts';
import { Sweeper, withoutPrefix, familyOf, type AddressFamily } from '../balancer/index.ts';
import type { NetlinkSockets } from '../netlink-sockets.ts';
import type { Netfilter, ServerState } from '../nft/index.ts';
import type { AttachedContainer, NetworkPart, Repair } from '../part.ts';
import type { NetworkDelta, NetworkTables } from '../tables.ts';
import { MeshBackends } from './backends.ts';
import { MeshGate, type GateWanted, type Published } from './gate.ts';
import { PublishedPorts, type PortsChange, type PublishedPort, type Target } from './ports.ts';
import { Reservations, type PortTaken } from './reservations.ts';

export interface MeshDeps {
  readonly tables: NetworkTables;
  readonly netfilter: Netfilter;
  readonly sockets: NetlinkSockets;
  /** This node; undefined while it is in no swarm. */
  readonly node: () => { readonly id: string; readonly dataPathAddr: string } | undefined;
  /** Where the namespace of an overlay network is pinned. */
  readonly networkPath: (networkId: string) => string;
  /** The host's namespace; absent: the daemon's own. */
  readonly hostPath?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Mesh implements NetworkPart {
  readonly #deps: MeshDeps;
  readonly #log: Logger;
  readonly #hostPath: string;
  readonly #backends: MeshBackends;
  readonly #reservations: Reservations;
  readonly #sweeper: Sweeper;
  readonly #ports = new PublishedPorts();
  readonly #containers = new Map<string, AttachedContainer>();
  /** Containers whose part could not be set up. */
  readonly #broken = new Set<string>();
  #network: AssignedNetwork | undefined;
  #wanted: GateWanted | undefined;
  /** Undefined: it is to be made, as soon as there is what it needs. */
  #gate: MeshGate | undefined;

  constructor(deps: MeshDeps) {
    this.#deps = deps;
    this.#log = deps.log.child({ module: 'mesh' });
    this.#hostPath = deps.hostPath ?? '';
    this.#backends = new MeshBackends(deps);
    this.#reservations = new Reservations(this.#hostPath, { clock: deps.clock, log: this.#log });
    this.#sweeper = new Sweeper({ ...deps, log: this.#log });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sweeper[Symbol.dispose]();
    this.#backends[Symbol.dispose]();
    this.#gate?.close();
    this.#deps.netfilter[Symbol.dispose]();
    await this.#reservations[Symbol.asyncDispose]();
  }

  /** Ports that another program of this host has: it gets nothing from outside any more. */
  get taken(): readonly PortTaken[] {
    return this.#reservations.taken;
  }

  /** The ports of the routing mesh, and whose they are. */
  get published(): readonly PublishedPort[] {
    return [...this.#ports.published()];
  }

  /** The name of the service that a port of every node leads to. */
  ownerOf(wanted: Pick<PortConfig, 'protocol' | 'publishedPort'>): string | undefined {
    return this.#ports.owner(wanted.protocol, wanted.publishedPort ?? 0);
  }

  async attached(container: AttachedContainer): Promise<void> {
    this.#containers.set(container.id, container);
    this.#connect(container);
  }

  async detached(containerId: string): Promise<void> {
    this.#containers.delete(containerId);
    this.#broken.delete(containerId);
    this.#backends.detach(containerId);
  }

  async changed(delta: NetworkDelta): Promise<void> {
    const network = ingressOf(this.#deps.tables);
    const wanted = this.#gateWanted(network);
    if (JSON.stringify(wanted) !== JSON.stringify(this.#wanted)) this.#turnTo(network, wanted);
    if (this.#network === undefined) return;
    const { id } = this.#network;
    if (!delta.networkIds.has(id)) return;
    const { lost, serviceIds } = whatConcerns(delta, id);
    const { tables } = this.#deps;
    const change = this.#ports.update(serviceIds, tables.servicesOf(id), tables.endpointsOf(id));
    this.#reserve(change);
    this.#retarget(id);
    if (this.#gate === undefined) return;
    try {
      this.#gate.change(change);
    } catch (error) {
      this.#log.warn('the mesh differs from what it should be', { error: messageOf(error) });
      this.#gate = undefined;
      this.#open();
    }
    for (const address of change.lost) if (!lost.has(address)) lost.set(address, 'closing');
    if (this.#wanted !== undefined) this.#sweeper.add(this.#wanted.networkPath, lost);
  }

  async audit(isQuiet = false): Promise<readonly Repair[]> {
    const repairs: Repair[] = [];
    this.#reservations.retry();
    if (this.#wanted !== undefined && this.#gate === undefined) {
      this.#open();
      if (this.#isOpen) repairs.push({ kind: 'nft', what: "the routing mesh's tables" });
    }
    try {
      const all = () => this.#ports.all();
      repairs.push(...(this.#gate?.audit(all, () => this.#published, isQuiet) ?? []));
    } catch (error) {
      // The next audit makes it anew.
      this.#gate = undefined;
      this.#log.warn('the mesh could not be compared', { error: messageOf(error) });
    }
    for (const id of this.#broken) {
      const container = this.#containers.get(id);
      if (container !== undefined) this.#connect(container);
      if (!this.#broken.has(id)) repairs.push({ kind: 'nft', what: `replies of ${id}` });
    }
    repairs.push(...this.#backends.audit(isQuiet));
    return repairs;
  }

  #connect(container: AttachedContainer): void {
    const network = this.#network ?? ingressOf(this.#deps.tables);
    if (!container.networks.some(({ networkId }) => networkId === network?.id)) return;
    if (network === undefined) return;
    try {
      const subnets = network.subnets.map(({ subnet }) => subnet);
      const targets = this.#targets(network.id).get(addressOf(container, network.id)) ?? [];
      this.#backends.attach(container, network.id, { subnets, targets });
      this.#broken.delete(container.id);
    } catch (error) {
      this.#broken.add(container.id);
      const facts = { containerId: container.id, error: messageOf(error) };
      this.#log.error('a container cannot answer through the routing mesh', facts);
    }
  }

  /** The mesh's network came, went, or is another; or this node's address has changed. */
  #turnTo(network: AssignedNetwork | undefined, wanted: GateWanted | undefined): void {
    if (network?.id !== this.#network?.id || wanted === undefined) this.#close();
    this.#network = network;
    this.#wanted = wanted;
    this.#gate?.close();
    this.#gate = undefined;
    if (network === undefined) return;
    const { tables } = this.#deps;
    const services = [...tables.servicesOf(network.id)];
    const ids = new Set([...services.map(({ serviceId }) => serviceId), ...this.#ports.serviceIds]);
    const change = this.#ports.update(ids, services, tables.endpointsOf(network.id));
    this.#reserve(change);
    for (const container of this.#containers.values()) this.#connect(container);
    if (wanted !== undefined) this.#open();
  }

  #reserve({ opened, closed }: Pick<PortsChange, 'opened' | 'closed'>): void {
    const before = new Set(this.taken.map(({ protocol, port }) => `${port}/${protocol}`));
    this.#reservations.change(opened, closed);
    for (const { protocol, port, owner, reason } of this.taken) {
      if (before.has(`${port}/${protocol}`)) continue;
      const facts = { port: `${port}/${protocol}`, service: owner, reason };
      this.#log.warn('another program of this host has a published port', facts);
    }
  }

  #open(): void {
    if (this.#wanted === undefined) return;
    const gate = new MeshGate(this.#wanted, { ...this.#deps, hostPath: this.#hostPath });
    try {
      gate.open(this.#ports.all(), this.#published);
      this.#gate = gate;
    } catch (error) {
      gate.close();
      const facts = { error: messageOf(error) };
      this.#log.error('published ports cannot be set up, and are tried again', facts);
    }
  }

  get #isOpen(): boolean {
    return this.#gate !== undefined;
  }

  #close(): void {
    const published = [...this.#ports.published()];
    this.#ports.update(this.#ports.serviceIds, [], []);
    this.#reservations.change([], published);
    try {
      this.#gate?.remove();
    } catch (error) {
      const facts = { error: messageOf(error) };
      this.#log.error('the routing mesh of before could not be taken away', facts);
    }
    this.#gate = undefined;
  }

  #gateWanted(network: AssignedNetwork | undefined): GateWanted | undefined {
    const node = this.#deps.node();
    if (network === undefined || node === undefined) return undefined;
    const own = this.#deps.tables.peer(node.id)?.ingressAddresses ?? [];
    if (own.length === 0) return undefined;
    const families = new Set(own.map((cidr) => familyOf(cidr)));
    const self: Partial<Record<AddressFamily, string>> = {};
    if (node.dataPathAddr !== '') self[familyOf(node.dataPathAddr)] = node.dataPathAddr;
    return {
      networkPath: this.#deps.networkPath(network.id),
      families: [...families].sort(),
      self,
    };
  }

  get #published(): Published {
    return { ip: this.#ports.published(), ip6: this.#ports.published6() };
  }

  /** At which ports the tasks of this node are asked, by their addresses. */
  #targets(networkId: string): ReadonlyMap<string, readonly Target[]> {
    const { tables, node } = this.#deps;
    const own = node()?.id;
    const found = new Map<string, readonly Target[]>();
    for (const { nodeId, serviceId, addresses } of tables.endpointsOf(networkId)) {
      const [cidr] = addresses;
      if (nodeId !== own || cidr === undefined) continue;
      found.set(withoutPrefix(cidr), this.#ports.targetsOf(serviceId));
    }
    return found;
  }

  #retarget(networkId: string): void {
    const targets = this.#targets(networkId);
    for (const container of this.#containers.values()) {
      const own = targets.get(addressOf(container, networkId));
      if (own === undefined) continue;
      try {
        this.#backends.retarget(container.id, own);
      } catch (error) {
        this.#broken.add(container.id);
        const facts = { containerId: container.id, error: messageOf(error) };
        this.#log.warn('a container is not asked as it should be', facts);
      }
    }
  }
}

/** Of IPv4, without prefix; empty where it is not on the network. */
function addressOf({ networks }: AttachedContainer, networkId: string): string {
  const [cidr = ''] = networks.find((one) => one.networkId === networkId)?.addresses ?? [];
  return withoutPrefix(cidr);
}

function ingressOf(tables: NetworkTables): AssignedNetwork | undefined {
  for (const network of tables.networks()) if (network.ingress) return network;
  return undefined;
}

/** Services of the mesh's network that have changed, and addresses at which nobody is any more. */
function whatConcerns(
  delta: NetworkDelta,
  networkId: string,
): { readonly lost: Map<string, ServerState>; readonly serviceIds: ReadonlySet<string> } {
  const serviceIds = new Set<string>();
  const lost = new Map<string, ServerState>();
  for (const { type, old, object } of delta.changes) {
    if (type !== 'endpoint' && type !== 'service-endpoint') continue;
    for (const one of [old, object] as (AssignedEndpoint | AssignedServiceEndpoint | undefined)[]) {
      if (one?.networkId === networkId && one.serviceId !== '') serviceIds.add(one.serviceId);
    }
    if (type !== 'endpoint' || old === undefined || object !== undefined) continue;
    const endpoint = old as AssignedEndpoint;
    if (endpoint.networkId !== networkId) continue;
    for (const address of endpoint.addresses) lost.set(withoutPrefix(address), 'gone');
  }
  return { lost, serviceIds };
}
