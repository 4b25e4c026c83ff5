/** What a network is given when it is made: its number and its subnets. */
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import {
  isNodeLocal,
  type Cluster,
  type IpamConfig,
  type Network,
  type NetworkSpec,
  type NetworkSubnet,
} from '../../types/index.ts';
import {
  contains,
  firstFreeSubnet,
  formatAddress,
  formatSubnet,
  parseAddress,
  parseSubnet,
  sizeOf,
  type Address,
  type Family,
  type Subnet,
} from './address.ts';

const firstVni = 4096;
export const lastVni = 2 ** 24 - 1;
/** Docker's option by which a user chooses the number. */
export const vniOption = 'com.docker.network.driver.overlay.vxlanid_list';

const defaultPool = '10.0.0.0/8';
const defaultPrefix = 24;
const v6SubnetPrefix = 64;
const ulaPrefix = 48;

interface NetworkAllocation {
  /** Absent, as subnets are, where each node makes the network for itself. */
  readonly vni?: number;
  readonly subnets: readonly NetworkSubnet[];
}

interface NetworkSurroundings {
  readonly cluster: Pick<Cluster, 'id' | 'defaultAddressPools' | 'subnetSize'>;
  readonly networks: Iterable<Network>;
  /**
   * Addresses of nodes. Containers on a subnet that has one of them could not reach it, and the
   * routing mesh would take its neighbours for containers.
   */
  readonly hosts: readonly string[];
  readonly random: Random;
  /** What it had before, in a backup: kept as far as nobody else has it by now. */
  readonly preferred?: Partial<NetworkAllocation>;
}

/**
 * A number and subnets for a network with a valid spec. Subnets that the user gives may overlap
 * with others', as networks are apart from each other; those chosen here overlap none. Throws
 * `failed-precondition` where nothing is left, and `already-exists` for a number that is taken.
 */
export function allocateNetwork(
  spec: NetworkSpec,
  surroundings: NetworkSurroundings,
): NetworkAllocation {
  if (isNodeLocal(spec)) return { subnets: [] };
  const networks = [...surroundings.networks];
  const inUse = networks.flatMap(({ subnets }) =>
    subnets.flatMap(({ subnet }) => parseSubnet(subnet) ?? []),
  );
  const { cluster, preferred, hosts } = surroundings;
  const ofHosts = hosts.flatMap(hostSubnet);
  const subnetOf = (family: Family): NetworkSubnet => {
    const config = configOf(spec, family);
    if (config !== undefined) return completed(config);
    const before = preferred?.subnets?.find((one) => parseSubnet(one.subnet)?.family === family);
    const known = before === undefined ? undefined : parseSubnet(before.subnet);
    const isFree = known !== undefined && firstFreeSubnet(known, known.prefix, inUse) !== undefined;
    if (before !== undefined && isFree) return before;
    const chosen = family === 4 ? chooseV4(cluster, inUse, ofHosts) : chooseV6(cluster.id, inUse);
    return completed({ subnet: formatSubnet(chosen) });
  };
  const subnets = spec.enableIpv6 === true ? [subnetOf(4), subnetOf(6)] : [subnetOf(4)];
  return { vni: chooseVni(spec, networks, surroundings), subnets };
}

/** The routing mesh's network of a new swarm. Throws as `allocateNetwork` does. */
export function newIngressNetwork(
  cluster: Cluster,
  random: Random,
  hosts: readonly string[] = [],
): Network {
  const spec: NetworkSpec = {
    name: 'ingress',
    labels: {},
    driver: 'overlay',
    scope: 'swarm',
    ingress: true,
  };
  const { createdAtMs } = cluster.meta;
  const meta = { version: 0, createdAtMs, updatedAtMs: createdAtMs };
  return {
    id: random.id(),
    meta,
    spec,
    ...allocateNetwork(spec, { cluster, networks: [], hosts, random }),
  };
}

/** What the user says of a family's subnet. */
function configOf(spec: NetworkSpec, family: Family): IpamConfig | undefined {
  return spec.ipam?.configs?.find(
    ({ subnet }) => subnet !== undefined && parseSubnet(subnet)?.family === family,
  );
}

/** The subnet with its gateway: the first address that is not set aside. */
function completed(config: IpamConfig): NetworkSubnet {
  const { subnet = '', ipRange, gateway, auxiliaryAddresses = {} } = config;
  const parsed = parseSubnet(subnet);
  if (parsed === undefined) throw new SwarmError('invalid-argument', `invalid subnet ${subnet}`);
  const reserved = Object.values(auxiliaryAddresses).flatMap((text) => parseAddress(text) ?? []);
  const aside = new Set(reserved.map(({ value }) => value));
  return {
    subnet: formatSubnet(parsed),
    gateway: (gateway ?? '') === '' ? firstHost(parsed, aside) : normal(gateway ?? ''),
    ...((ipRange ?? '') === '' ? {} : { ipRange: normalSubnet(ipRange ?? '') }),
    ...(reserved.length === 0 ? {} : { reserved: reserved.map(formatAddress) }),
  };
}

function firstHost({ family, base, prefix }: Subnet, aside: ReadonlySet<bigint>): string {
  let value = base + 1n;
  while (aside.has(value)) value += 1n;
  const address: Address = { family, value };
  const broadcast = base + sizeOf({ family, base, prefix }) - 1n;
  if (!contains({ family, base, prefix }, address) || (family === 4 && value === broadcast)) {
    throw new SwarmError('invalid-argument', 'the subnet has no address left for a gateway');
  }
  return formatAddress(address);
}

function chooseV4(
  { defaultAddressPools, subnetSize }: NetworkSurroundings['cluster'],
  inUse: readonly Subnet[],
  ofHosts: readonly Subnet[],
): Subnet {
  const pools = defaultAddressPools.length === 0 ? [defaultPool] : defaultAddressPools;
  const prefix = subnetSize === 0 ? defaultPrefix : subnetSize;
  // One that hides nodes is better than none: a user may have chosen a pool that has no other.
  for (const taken of [[...inUse, ...ofHosts], inUse]) {
    for (const text of pools) {
      const pool = parseSubnet(text);
      if (pool?.family !== 4) continue;
      const chosen = firstFreeSubnet(pool, prefix, taken);
      if (chosen !== undefined) return chosen;
    }
  }
  throw nothingLeft(4);
}

/** Of the one address; nothing for what is none, such as a name. */
function hostSubnet(text: string): readonly Subnet[] {
  const address = parseAddress(text);
  if (address?.family !== 4) return [];
  return [{ family: 4, base: address.value, prefix: 32 }];
}

function chooseV6(clusterId: string, inUse: readonly Subnet[]): Subnet {
  const chosen = firstFreeSubnet(ulaOf(clusterId), v6SubnetPrefix, inUse);
  if (chosen === undefined) throw nothingLeft(6);
  return chosen;
}

/** The swarm's own private range (RFC 4193): fd, and 40 bits that follow from its id. */
function ulaOf(clusterId: string): Subnet {
  let hash = 0xcbf29ce484222325n;
  for (const character of clusterId) {
    hash = ((hash ^ BigInt(character.codePointAt(0) ?? 0)) * 0x100000001b3n) & ((1n << 64n) - 1n);
  }
  return { family: 6, base: ((0xfdn << 40n) | (hash >> 24n)) << 80n, prefix: ulaPrefix };
}

/** At random, so that what a slow node still has of a network that is gone is not met again. */
function chooseVni(
  spec: NetworkSpec,
  networks: readonly Network[],
  { random, preferred }: NetworkSurroundings,
): number {
  const owners = new Map(networks.map(({ vni, spec: { name } }) => [vni, name]));
  const asked = spec.options?.[vniOption];
  if (asked !== undefined) {
    const owner = owners.get(Number(asked));
    if (owner === undefined) return Number(asked);
    throw new SwarmError('already-exists', `VXLAN id ${asked} is in use by network ${owner}`);
  }
  if (preferred?.vni !== undefined && !owners.has(preferred.vni)) return preferred.vni;
  const count = lastVni - firstVni + 1;
  const start = random.integer(count);
  for (let step = 0; step < count; step++) {
    const vni = firstVni + ((start + step) % count);
    if (!owners.has(vni)) return vni;
  }
  throw new SwarmError('failed-precondition', 'no VXLAN id is left: remove networks');
}

function normal(address: string): string {
  const parsed = parseAddress(address);
  return parsed === undefined ? address : formatAddress(parsed);
}

function normalSubnet(subnet: string): string {
  const parsed = parseSubnet(subnet);
  return parsed === undefined ? subnet : formatSubnet(parsed);
}

function nothingLeft(family: Family): SwarmError {
  return new SwarmError(
    'failed-precondition',
    `could not find an available, non-overlapping IPv${family} address pool among the defaults ` +
      'to assign to the network; give it a subnet, or remove networks',
  );
}
