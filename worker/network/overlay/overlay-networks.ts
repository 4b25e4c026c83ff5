/** The overlay networks of this node: which there are, and who is on them. */
import { assert } from '../../../lib/assert.ts';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type {
  AssignedEndpoint,
  AssignedNetwork,
  AssignedPeer,
  NetworkObjects,
} from '../../../types/index.ts';
import {
  hasIpv6,
  interfaceName,
  macOfAddresses,
  macOfPlace,
  positionOf,
  setUpContainerNamespace,
} from '../container-interfaces.ts';
import { inNamespace, Namespaces } from '../namespace.ts';
import { Netlink } from '../netlink.ts';
import type { NetlinkSockets } from '../netlink-sockets.ts';
import { removeLink } from '../netlink/links.ts';
import { canonicalAddress, families, familyOf } from '../netlink/wire.ts';
import { hasDerivedIpv6 } from '../mesh-ipv6.ts';
import type { AttachedContainer, NetworkPart, Repair } from '../part.ts';
import { noIpv6, offersIpv6 } from '../settings.ts';
import { errno, SyscallError } from '../syscalls.ts';
import type { NetworkDelta, NetworkTables } from '../tables.ts';
import { tunnelAddressOf, type Tunnels } from '../tunnel/index.ts';
import type { DevicesWanted } from './devices.ts';
import { ForwardingTable, type Claim } from './forwarding.ts';
import { kernelCarriesIpv6 } from './mesh-kernel.ts';
import { overlayFolder, vxlanName } from './names.ts';
import { Segment } from './segment.ts';
import {
  encryptedUnderlay,
  findCarrier,
  tooNarrowForIpv6,
  plainUnderlay,
  tunnelMtuOf,
  type Carrier,
} from './underlay.ts';
import { UntrackedVxlan } from './untracked.ts';

/** This node, as the managers know it. */
export interface OverlayNode {
  readonly id: string;
  /** Where other nodes send packets to. */
  readonly dataPathAddr: string;
}

export interface OverlayDeps {
  readonly tables: NetworkTables;
  /** Undefined while this host is in no swarm. */
  readonly node: () => OverlayNode | undefined;
  /** Of containers' namespaces. */
  readonly sockets: NetlinkSockets;
  /** Carry the encrypted ones. */
  readonly tunnels: Tunnels;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The kernel takes devices of a namespace apart a moment after its end. */
const openTries = 20;
const openRetryMs = 100;

export class OverlayNetworks implements NetworkPart {
  readonly #deps: OverlayDeps;
  readonly #log: Logger;
  readonly #namespaces: Namespaces;
  readonly #segments = new Map<string, Segment>();
  readonly #opening = new Map<string, Promise<Segment>>();
  readonly #containers = new Map<string, AttachedContainer>();
  #host: Netlink | undefined;
  #untracked: UntrackedVxlan | undefined;
  /** Tried at the first question. */
  #kernelCarriesIpv6: boolean | undefined;

  constructor(options: { readonly runRoot: string }, deps: OverlayDeps) {
    this.#deps = deps;
    this.#log = deps.log.child({ module: 'overlay' });
    this.#namespaces = new Namespaces(overlayFolder(options.runRoot), setUpContainerNamespace);
  }

  /** In the host's namespace, where the sockets of the vxlan devices will be. */
  start(): void {
    this.#namespaces.prepare();
    this.#host = new Netlink();
    this.#untracked = new UntrackedVxlan();
    this.#deps.tunnels.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    for (const segment of this.#segments.values()) segment.close();
    this.#segments.clear();
    await this.#deps.tunnels[Symbol.asyncDispose]();
    this.#namespaces[Symbol.dispose]();
    this.#host?.[Symbol.dispose]();
    this.#host = undefined;
    this.#untracked?.[Symbol.dispose]();
    this.#untracked = undefined;
  }

  /** Why the network cannot be carried by this node; undefined where it can. */
  obstacle(networkId: string): string | undefined {
    const network = this.#deps.tables.network(networkId);
    if (network?.driver !== 'overlay' || this.#deps.node() === undefined) return undefined;
    // A mesh that has IPv6 without being asked to goes without where it cannot.
    if (hasDerivedIpv6(network)) return undefined;
    if (!hasIpv6(network.subnets.map(({ subnet }) => subnet))) return undefined;
    if (!offersIpv6()) return `network ${network.name} cannot be had on this node: ${noIpv6}`;
    const why = tooNarrowForIpv6(this.#carrier(), network.encrypted);
    return why && `network ${network.name} cannot be had on this node: ${why}`;
  }

  /** Whether this node can take part in a routing mesh with IPv6. */
  get carriesMeshIpv6(): boolean {
    this.#kernelCarriesIpv6 ??= kernelCarriesIpv6();
    return this.#kernelCarriesIpv6 && tooNarrowForIpv6(this.#carrier(), false) === undefined;
  }

  async attached(container: AttachedContainer): Promise<void> {
    this.#containers.set(container.id, container);
    for (const { networkId } of container.networks) {
      const network = this.#deps.tables.network(networkId);
      if (network?.driver === 'overlay') plug(container, await this.#opened(network));
    }
  }

  async left(containerId: string, networkId: string): Promise<void> {
    const segment = this.#segments.get(networkId);
    if (segment === undefined) return;
    segment.unplug(containerId, { runsOn: true });
    this.#removeIfUnused(segment);
    await this.#stopTunnelsIfUnused();
  }

  async detached(containerId: string): Promise<void> {
    this.#containers.delete(containerId);
    for (const segment of this.#segments.values()) {
      segment.unplug(containerId);
      this.#removeIfUnused(segment);
    }
    await this.#stopTunnelsIfUnused();
  }

  async changed(delta: NetworkDelta): Promise<void> {
    const touched = new Set<Segment>();
    // The way to a node must be there before anything is sent to it.
    if (delta.peerIds.size > 0) await this.#tellTunnels();
    for (const { type, id, old, object } of delta.changes) {
      switch (type) {
        case 'network':
          this.#deps.tunnels.rotate(this.#deps.tables.network(id)?.keyRotation ?? 0);
          await this.#networkChanged(id);
          break;
        case 'peer':
          this.#peerChanged(id, object as AssignedPeer | undefined, touched);
          break;
        case 'endpoint':
          this.#endpointChanged(id, (object ?? old) as AssignedEndpoint, object, touched);
          break;
        case 'service-endpoint':
          break;
      }
    }
    for (const segment of touched) {
      if (this.#segments.get(segment.id) === segment) this.#try(segment, () => segment.forward());
    }
    this.#leaveUntracked();
    await this.#stopTunnelsIfUnused();
  }

  async audit(isQuiet = false): Promise<readonly Repair[]> {
    const repairs: Repair[] = [...(await this.#deps.tunnels.audit()), ...this.#leaveUntracked()];
    for (const network of this.#deps.tables.networks()) {
      if (!this.#segments.has(network.id)) await this.#networkChanged(network.id);
    }
    for (const segment of this.#segments.values()) {
      const found = this.#try(segment, () => {
        if (isQuiet && !segment.needsAudit()) return segment.auditSettings();
        const wanted = this.#devicesWanted(this.#deps.tables.network(segment.id));
        if (wanted !== undefined) segment.change(wanted);
        return [...segment.audit(), ...segment.removeStrays()];
      });
      repairs.push(
        ...(found ?? []).map(({ kind, what }) => ({
          kind,
          what: `${what} (network ${this.#deps.tables.network(segment.id)?.name ?? segment.id})`,
        })),
      );
      // Others get their turn between networks.
      await Promise.resolve();
    }
    return repairs;
  }

  /** Removes networks that a former daemon left behind: none of them is in use. */
  async removeLeftovers(): Promise<void> {
    if (this.#deps.tunnels.hasLeftovers) await this.#stopTunnelsIfUnused();
    for (const id of this.#namespaces.names()) {
      if (this.#segments.has(id) || this.#opening.has(id)) continue;
      this.#log.info('removing a leftover overlay network', { networkId: id });
      if (this.#namespaces.isAlive(id)) {
        inNamespace(this.#namespaces.path(id), () => {
          using inside = new Netlink();
          inside.run(removeLink(vxlanName));
        });
      }
      this.#namespaces.remove(id);
    }
  }

  /** Takes everything away: the node leaves its swarm. */
  async clear(): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    for (const segment of this.#segments.values()) segment.remove();
    this.#segments.clear();
    this.#untracked?.clear();
    await this.removeLeftovers();
    await this.#deps.tunnels.clear();
    this.#namespaces.clear();
  }

  async #networkChanged(id: string): Promise<void> {
    const segment = this.#segments.get(id);
    const network = this.#deps.tables.network(id);
    if (segment === undefined) {
      if (network?.driver === 'overlay') await this.#networkCame(network);
      return;
    }
    const wanted = this.#devicesWanted(network);
    if (wanted === undefined) this.#removeIfUnused(segment);
    else if (JSON.stringify(wanted) !== JSON.stringify(segment.wanted)) {
      segment.change(wanted);
      this.#try(segment, () => segment.audit());
    }
  }

  /** Nobody may be on it yet; but containers may have been taken up before the managers said it. */
  async #networkCame(network: AssignedNetwork): Promise<void> {
    const waiting = [...this.#containers.values()].filter(({ networks }) =>
      networks.some(({ networkId }) => networkId === network.id),
    );
    if (!network.ingress && waiting.length === 0) return;
    try {
      const segment = await this.#opened(network);
      for (const container of waiting) plug(container, segment);
    } catch (error) {
      this.#log.error('an overlay network cannot be made, and is tried again', {
        networkId: network.id,
        error: messageOf(error),
      });
    }
  }

  #peerChanged(id: string, peer: AssignedPeer | undefined, touched: Set<Segment>): void {
    for (const segment of this.#segments.values()) {
      segment.forwarding.peerChanged(id);
      const network = this.#deps.tables.network(segment.id);
      if (network?.ingress) {
        segment.forwarding.put(`peer ${id}`, peer && claimOfPeer(peer));
        if (id === this.#deps.node()?.id) {
          const wanted = this.#devicesWanted(network);
          if (wanted !== undefined) segment.change(wanted);
          this.#try(segment, () => segment.audit());
        }
      }
      touched.add(segment);
    }
  }

  #endpointChanged(
    id: string,
    { networkId }: AssignedEndpoint,
    object: NetworkObjects[keyof NetworkObjects] | undefined,
    touched: Set<Segment>,
  ): void {
    const segment = this.#segments.get(networkId);
    if (segment === undefined) return;
    segment.forwarding.put(id, object && claimOf(object as AssignedEndpoint));
    touched.add(segment);
  }

  #opened(network: AssignedNetwork): Promise<Segment> {
    const present = this.#segments.get(network.id);
    if (present !== undefined) return Promise.resolve(present);
    let opening = this.#opening.get(network.id);
    if (opening === undefined) {
      opening = this.#open(network).finally(() => this.#opening.delete(network.id));
      this.#opening.set(network.id, opening);
    }
    return opening;
  }

  async #open(network: AssignedNetwork): Promise<Segment> {
    const wanted = this.#devicesWanted(network);
    assert(wanted !== undefined, 'a network that the managers tell of is opened within a swarm');
    if (network.encrypted) {
      await this.#deps.tunnels.ensure(tunnelMtuOf(this.#carrier()));
      await this.#tellTunnels();
    }
    for (let tries = 1; ; tries++) {
      const segment = this.#newSegment(network, wanted);
      try {
        segment.open();
        this.#segments.set(network.id, segment);
        return segment;
      } catch (error) {
        segment.close();
        const isTaken = error instanceof SyscallError && error.errno === errno.exists;
        if (!isTaken || tries === openTries) throw error;
        await this.#deps.clock.sleep(openRetryMs);
      }
    }
  }

  #newSegment(network: AssignedNetwork, wanted: DevicesWanted): Segment {
    assert(this.#host !== undefined, 'the overlay networks are started');
    const { isIpv6 } = wanted.underlay;
    const forwarding = new ForwardingTable((nodeId) =>
      network.encrypted ? this.#tunnelTo(nodeId) : this.#destinationOf(nodeId, isIpv6),
    );
    const { tables, tunnels } = this.#deps;
    for (const endpoint of tables.endpointsOf(network.id)) {
      forwarding.put(endpoint.id, claimOf(endpoint));
    }
    if (network.ingress) {
      for (const peer of tables.peers()) forwarding.put(`peer ${peer.id}`, claimOfPeer(peer));
    }
    const { sockets } = this.#deps;
    const host = network.encrypted ? tunnels.inside : this.#host;
    const deps = { namespaces: this.#namespaces, host, sockets, forwarding };
    return new Segment(network.id, wanted, deps);
  }

  /** A network without containers is kept as long as the managers tell of it. */
  #removeIfUnused(segment: Segment): void {
    if (segment.plugs.size > 0 || this.#deps.tables.network(segment.id) !== undefined) return;
    this.#segments.delete(segment.id);
    this.#try(segment, () => segment.remove());
  }

  #devicesWanted(network: AssignedNetwork | undefined): DevicesWanted | undefined {
    const node = this.#deps.node();
    if (network === undefined || node === undefined) return undefined;
    const self = this.#deps.tables.peer(node.id);
    const isIpv6 = hasIpv6(network.subnets.map(({ subnet }) => subnet));
    return {
      vni: network.vni,
      port: network.dataPathPort,
      underlay: (network.encrypted ? encryptedUnderlay : plainUnderlay)(this.#carrier(), isIpv6),
      hasIpv6: isIpv6,
      bridgeAddresses: network.ingress ? (self?.ingressAddresses ?? []) : [],
    };
  }

  #carrier(): Carrier {
    const node = this.#deps.node();
    assert(this.#host !== undefined && node !== undefined, 'the host is a node, and started');
    return findCarrier(this.#host, node.dataPathAddr);
  }

  /** Encrypted networks have a namespace of their own, in which nothing is tracked. */
  #leaveUntracked(): readonly Repair[] {
    const plain = [...this.#deps.tables.networks()].filter(
      ({ driver, encrypted }) => driver === 'overlay' && !encrypted,
    );
    try {
      this.#untracked?.setPorts(plain.map(({ dataPathPort }) => dataPathPort));
      return this.#untracked?.audit() ?? [];
    } catch (error) {
      this.#log.warn('connection tracking sees VXLAN, until the next audit', {
        error: messageOf(error),
      });
      return [];
    }
  }

  async #tellTunnels(): Promise<void> {
    const { tables, tunnels, node } = this.#deps;
    if (tunnels.published === undefined) return;
    try {
      await tunnels.setPeers([...tables.peers()].filter(({ id }) => id !== node()?.id));
    } catch (error) {
      this.#log.error('the tunnels of encrypted networks cannot be set, and are tried again', {
        error: messageOf(error),
      });
    }
  }

  async #stopTunnelsIfUnused(): Promise<void> {
    const { tables, tunnels } = this.#deps;
    if (tunnels.published === undefined && !tunnels.hasLeftovers) return;
    const isEncrypted = (id: string) => tables.network(id)?.encrypted !== false;
    const isUsed =
      [...tables.networks()].some(({ encrypted }) => encrypted) ||
      [...this.#segments.keys(), ...this.#opening.keys()].some(isEncrypted);
    if (!isUsed) await tunnels.stop();
  }

  #tunnelTo(nodeId: string): string | undefined {
    if (nodeId === this.#deps.node()?.id) return undefined;
    const key = this.#deps.tables.peer(nodeId)?.dataPath.wireguard?.publicKey;
    return key && tunnelAddressOf(key);
  }

  #destinationOf(nodeId: string, isIpv6: boolean): string | undefined {
    if (nodeId === this.#deps.node()?.id) return undefined;
    const address = this.#deps.tables.peer(nodeId)?.dataPath.address;
    if (address === undefined || address === '') return undefined;
    // A node that talks the other protocol only cannot be reached.
    const same = (familyOf(address) === families.inet6) === isIpv6;
    return same ? canonicalAddress(address) : undefined;
  }

  /** What fails is tried again by the next audit: other networks are not concerned. */
  #try<T>(segment: Segment, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#log.error('an overlay network cannot be set as it should be, and is tried again', {
        networkId: segment.id,
        error: messageOf(error),
      });
      return undefined;
    }
  }
}

function plug({ id, netnsPath, networks }: AttachedContainer, segment: Segment): void {
  const place = networks.find(({ networkId }) => networkId === segment.id) ?? { addresses: [] };
  const { addresses } = place;
  const position = positionOf(networks, segment.id);
  const { mtu } = segment.wanted.underlay;
  const link = { name: interfaceName(position), mac: macOfPlace(place), mtu, addresses };
  segment.plug(id, { netnsPath, position, link });
}

function claimOf(endpoint: AssignedEndpoint): Claim | undefined {
  const { nodeId, addresses } = endpoint;
  if (addresses.length === 0) return undefined;
  return { nodeId, mac: macOfPlace(endpoint), addresses: addresses.map(withoutPrefix) };
}

function claimOfPeer({ id, ingressAddresses }: AssignedPeer): Claim | undefined {
  if (ingressAddresses.length === 0) return undefined;
  return {
    nodeId: id,
    mac: macOfAddresses(ingressAddresses),
    addresses: ingressAddresses.map(withoutPrefix),
  };
}

function withoutPrefix(cidr: string): string {
  return canonicalAddress(cidr.split('/')[0] ?? '');
}
