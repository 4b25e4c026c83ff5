/**
 * IPv6 for a routing mesh whose network was made without: addresses that follow from the IPv4 ones,
 * the same on every node, so that nothing has to be given out or kept. Only the kernel sees them.
 * Pure.
 */
import { createHash } from 'node:crypto';
import {
  withoutIpv6,
  type AssignedEndpoint,
  type AssignedNetwork,
  type AssignedPeer,
  type NetworkAssignments,
  type TaskNetwork,
} from '../../types/index.ts';
import { addressBytes, addressText } from './netlink/wire.ts';
import type { NetworkTables } from './tables.ts';

type Update = NetworkAssignments['update'][number];
type Known = Pick<NetworkTables, 'endpointsOf' | 'network' | 'networks' | 'peer' | 'peers'>;

/** This node. */
interface Self {
  readonly id: string | undefined;
  /** Its kernel and its data path carry IPv6. */
  readonly carriesIpv6: boolean;
}

const prefixBits = 96;

/** A unique local prefix of the network's own: its id is as random as one drawn by lot. */
function prefixOf(networkId: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(0xfd, 0);
  createHash('sha256').update(networkId).digest().copy(bytes, 1, 0, 5);
  return bytes;
}

/** "fd12:3456:789a::/96" */
function subnetOf(networkId: string): string {
  return `${addressText(prefixOf(networkId))}/${prefixBits}`;
}

/** The address of IPv6 that goes with "10.0.0.5/24". */
export function derivedAddress(networkId: string, cidr: string): string {
  const bytes = prefixOf(networkId);
  addressBytes(cidr.split('/')[0] ?? '').copy(bytes, 12);
  return `${addressText(bytes)}/${prefixBits}`;
}

/** Whether the network, as this node has it, is one with derived addresses. */
export function hasDerivedIpv6({ id, subnets }: AssignedNetwork): boolean {
  const derived = subnetOf(id);
  return subnets.some(({ subnet }) => subnet === derived);
}

/** The routing mesh's network, where its addresses of IPv6 are derived. */
export function derivedMesh(tables: Pick<NetworkTables, 'networks'>): string | undefined {
  for (const network of tables.networks()) {
    if (network.ingress && hasDerivedIpv6(network)) return network.id;
  }
  return undefined;
}

/** A container's own place on the network, in its present state. */
export function ownPlace<T extends TaskNetwork>(
  place: T,
  network: AssignedNetwork | undefined,
  ipv4Only: boolean,
): T {
  if (ipv4Only) return { ...place, addresses: withoutIpv6(place.addresses) };
  if (network === undefined || !hasDerivedIpv6(network)) return place;
  return { ...place, addresses: both(network.id, place.addresses) };
}

/**
 * The set, in which everybody on the routing mesh's network has an address of IPv6 as well, as far
 * as his node carries it. What is known already and has to be said otherwise now is in it, too.
 */
export function withMeshIpv6(
  set: NetworkAssignments,
  tables: Known,
  self: Self,
): NetworkAssignments {
  const mesh = meshOf(set, tables);
  if (mesh === undefined) return set;
  const known = tables.network(mesh.id);
  const wasDerived = known !== undefined && hasDerivedIpv6(known);
  const derives = self.carriesIpv6 && !mesh.encrypted && !hasIpv6(mesh);
  if (!derives && !wasDerived) return set;
  const peers = new Map<string, AssignedPeer>();
  for (const one of set.update) if (one.type === 'peer') peers.set(one.object.id, one.object);
  const carries = (nodeId: string) => {
    if (!derives || nodeId === self.id) return derives;
    const peer = peers.get(nodeId) ?? (set.complete ? undefined : tables.peer(nodeId));
    return peer?.dataPath.ipv6 === true;
  };
  const say = (update: Update): Update => {
    const { type, object } = update;
    if (type === 'peer') return { type, object: peerSaid(object, mesh.id, carries(object.id)) };
    if (type === 'network' && object.id === mesh.id) {
      return { type, object: networkSaid(object, derives) };
    }
    if (type === 'endpoint' && object.networkId === mesh.id) {
      return { type, object: endpointSaid(object, carries(object.nodeId)) };
    }
    return update;
  };
  const isMoved = wasDerived !== derives;
  const isKept = set.complete || (!isMoved && peers.size === 0);
  const stale = isKept ? [] : staleOf(set, tables, mesh.id, carries);
  const isNamed = set.update.some(({ object }) => object.id === mesh.id);
  if (isMoved && !set.complete && !isNamed) stale.push({ type: 'network', object: mesh });
  return { ...set, update: [...set.update, ...stale].map(say) };
}

/** What is known and not in the set, but has to be said otherwise by what is. */
function staleOf(
  set: NetworkAssignments,
  tables: Known,
  networkId: string,
  carries: (nodeId: string) => boolean,
): Update[] {
  const named = new Set([
    ...set.update.map(({ type, object }) => `${type} ${object.id}`),
    ...set.remove.map(({ type, id }) => `${type} ${id}`),
  ]);
  const differs = (nodeId: string, addresses: readonly string[]) =>
    addresses.length > 0 && addresses.some((one) => isDerived(networkId, one)) !== carries(nodeId);
  const found: Update[] = [];
  for (const object of tables.peers()) {
    if (differs(object.id, object.ingressAddresses)) found.push({ type: 'peer', object });
  }
  for (const object of tables.endpointsOf(networkId)) {
    if (object.ipv4Only === true) continue;
    if (differs(object.nodeId, object.addresses)) found.push({ type: 'endpoint', object });
  }
  return found.filter(({ type, object }) => !named.has(`${type} ${object.id}`));
}

function meshOf(set: NetworkAssignments, tables: Known): AssignedNetwork | undefined {
  for (const { type, object } of set.update)
    if (type === 'network' && object.ingress) return object;
  if (set.complete) return undefined;
  const gone = new Set(set.remove.map(({ type, id }) => `${type} ${id}`));
  for (const network of tables.networks()) {
    if (network.ingress && !gone.has(`network ${network.id}`)) return network;
  }
  return undefined;
}

function networkSaid(network: AssignedNetwork, derives: boolean): AssignedNetwork {
  const derived = subnetOf(network.id);
  const own = network.subnets.filter(({ subnet }) => subnet !== derived);
  return { ...network, subnets: derives ? [...own, { subnet: derived, gateway: '' }] : own };
}

function peerSaid(peer: AssignedPeer, networkId: string, carries: boolean): AssignedPeer {
  const { ingressAddresses } = peer;
  return { ...peer, ingressAddresses: (carries ? both : own)(networkId, ingressAddresses) };
}

function endpointSaid(endpoint: AssignedEndpoint, carries: boolean): AssignedEndpoint {
  const { networkId, addresses, ipv4Only } = endpoint;
  const isBoth = carries && ipv4Only !== true;
  return { ...endpoint, addresses: (isBoth ? both : own)(networkId, addresses) };
}

function both(networkId: string, addresses: readonly string[]): readonly string[] {
  const given = own(networkId, addresses);
  return [...given, ...given.map((cidr) => derivedAddress(networkId, cidr))];
}

function own(networkId: string, addresses: readonly string[]): readonly string[] {
  return addresses.filter((cidr) => !isDerived(networkId, cidr));
}

function isDerived(networkId: string, cidr: string): boolean {
  return (
    cidr.includes(':') &&
    addressBytes(cidr.split('/')[0] ?? '')
      .subarray(0, 12)
      .equals(prefixOf(networkId).subarray(0, 12))
  );
}

/** Of its own, as it was made. */
function hasIpv6(network: AssignedNetwork): boolean {
  const derived = subnetOf(network.id);
  return network.subnets.some(({ subnet }) => subnet.includes(':') && subnet !== derived);
}
