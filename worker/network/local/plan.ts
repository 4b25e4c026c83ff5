/**
 * What a network of this node is to be, from what was asked: checked, and with all that was left
 * open chosen. Pure.
 */
import { createHash } from 'node:crypto';
import { SwarmError } from '../../../lib/errors.ts';
import type { IpamConfig, NetworkSpec, NetworkSubnet } from '../../../types/index.ts';
import { defaultLocalPools, formatSubnet } from '../subnet.ts';
import {
  holds,
  isWithin,
  nthHost,
  overlap,
  parseHost,
  parseRange,
  rangeText,
  sizeOf,
  type Range,
} from './ranges.ts';

/** A network of this node alone. */
export interface LocalNetwork {
  readonly id: string;
  readonly createdAtMs: number;
  readonly spec: NetworkSpec;
  readonly subnets: readonly NetworkSubnet[];
}

const localDrivers = ['bridge', 'macvlan', 'ipvlan'] as const;
type LocalDriver = (typeof localDrivers)[number];

interface Surroundings {
  readonly networks: readonly LocalNetwork[];
  /** Subnets that this host has routes to: none of them is chosen. */
  readonly routes: readonly string[];
}

export const options = {
  mtu: 'com.docker.network.driver.mtu',
  bridgeName: 'com.docker.network.bridge.name',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  parent: 'parent',
} as const;

/** Options whose meaning is not ours to give, and the only value that needs nothing. */
const unsupported: Readonly<Record<string, string>> = {
  'com.docker.network.bridge.enable_icc': 'true',
  'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
  'com.docker.network.bridge.gateway_mode_ipv4': 'nat',
  'com.docker.network.bridge.gateway_mode_ipv6': 'nat',
  'com.docker.network.container_iface_prefix': 'eth',
};
const nameLengthMax = 15;

/** Throws `invalid-argument`, or `permission-denied` for a subnet that another network has. */
export function planNetwork(
  given: { readonly id: string; readonly createdAtMs: number; readonly spec: NetworkSpec },
  around: Surroundings,
): LocalNetwork {
  const { id, spec } = given;
  driverOf(spec);
  checkOptions(spec);
  const hasIpv4 = spec.enableIpv4 !== false;
  const hasIpv6 = spec.enableIpv6 === true;
  if (!hasIpv4 && !hasIpv6) throw invalid('IPv4 or IPv6 must be enabled');
  const configs = (spec.ipam?.configs ?? []).filter((config) => config.subnet !== undefined);
  const subnets = configs
    .map(subnetOf)
    // Without --ipv6 a network has no IPv6, whatever subnets were given.
    .filter(({ subnet }) => (subnet.includes(':') ? hasIpv6 : hasIpv4));
  for (const { subnet } of subnets) refuseOverlap(subnet, around.networks);
  if (hasIpv4 && !subnets.some(({ subnet }) => !subnet.includes(':'))) {
    const open = (spec.ipam?.configs ?? []).find((config) => config.subnet === undefined);
    subnets.unshift(subnetOf({ ...open, subnet: freeSubnet(around) }));
  }
  if (hasIpv6 && !subnets.some(({ subnet }) => subnet.includes(':'))) {
    subnets.push(subnetOf({ subnet: privateIpv6(id) }));
  }
  return { ...given, subnets };
}

/** Nothing is chosen for a configuration: others that are made from it choose for themselves. */
export function planConfiguration(given: {
  readonly id: string;
  readonly createdAtMs: number;
  readonly spec: NetworkSpec;
}): LocalNetwork {
  checkOptions(given.spec);
  const configs = (given.spec.ipam?.configs ?? []).filter(({ subnet }) => subnet !== undefined);
  return { ...given, subnets: configs.map(subnetOf) };
}

/** Throws `invalid-argument` for a driver that is not one of this node's. */
export function driverOf({ driver }: NetworkSpec): LocalDriver {
  const name = driver === '' ? 'bridge' : driver;
  const found = localDrivers.find((one) => one === name);
  if (found === undefined) throw invalid(`"${driver}" is no driver of networks of one node`);
  return found;
}

/** Of links; undefined where nothing is said. Throws `invalid-argument`. */
export function mtuOf({ options: given = {} }: NetworkSpec): number | undefined {
  const text = given[options.mtu];
  if (text === undefined || text === '') return undefined;
  const mtu = Number(text);
  if (Number.isInteger(mtu) && mtu >= 68 && mtu <= 65_535) return mtu;
  throw invalid(`the MTU "${text}" is not a number from 68 to 65535`);
}

function checkOptions(spec: NetworkSpec): void {
  const given = spec.options ?? {};
  mtuOf(spec);
  for (const [name, harmless] of Object.entries(unsupported)) {
    const value = given[name];
    if (value === undefined || value === '' || value === harmless) continue;
    throw invalid(`the option ${name}=${value} is not supported: leave it out`);
  }
  for (const name of [given[options.bridgeName], given[options.parent]]) {
    if (name === undefined || /^[^\s/]*$/.test(name)) continue;
    throw invalid(`"${name}" is no name of a link`);
  }
  const bridge = given[options.bridgeName] ?? '';
  if (bridge.length > nameLengthMax) {
    throw invalid(`the bridge's name "${bridge}" is longer than ${nameLengthMax} characters`);
  }
}

function subnetOf(config: IpamConfig): NetworkSubnet {
  const text = config.subnet ?? '';
  const range = parseRange(text);
  if (range === undefined) {
    throw invalid(`invalid network config:\ninvalid subnet ${text}: invalid CIDR block notation`);
  }
  if (rangeText(range) !== canonical(text)) {
    throw invalid(`invalid subnet ${text}: it should be ${rangeText(range)}`);
  }
  if (sizeOf(range) < 4n) throw invalid(`the subnet ${text} has no room for containers`);
  const { ipRange, gateway, auxiliaryAddresses = {} } = config;
  if (ipRange !== undefined) checkPart(ipRange, range);
  const reserved = Object.values(auxiliaryAddresses);
  for (const address of [...(gateway === undefined ? [] : [gateway]), ...reserved]) {
    checkInside(address, range);
  }
  return {
    subnet: rangeText(range),
    gateway: gateway ?? nthHost(range, 1n),
    ...(ipRange === undefined ? {} : { ipRange }),
    ...(reserved.length === 0 ? {} : { reserved }),
  };
}

function canonical(cidr: string): string {
  const [address = '', prefix = ''] = cidr.split('/');
  const range = parseRange(`${address}/${address.includes(':') ? 128 : 32}`);
  return range === undefined ? cidr : `${nthHost(range, 0n)}/${prefix}`;
}

function checkPart(ipRange: string, range: Range): void {
  const part = parseRange(ipRange);
  if (part === undefined) throw invalid(`invalid CIDR address: ${ipRange}`);
  if (!isWithin(part, range)) {
    throw invalid(`the range ${ipRange} is not within the subnet ${rangeText(range)}`);
  }
}

function checkInside(address: string, range: Range): void {
  const host = parseHost(address);
  if (host === undefined) throw invalid(`invalid address: ${address}`);
  if (!holds(range, host)) {
    throw invalid(`no matching subnet for ${address}: ${rangeText(range)} does not have it`);
  }
}

function refuseOverlap(subnet: string, networks: readonly LocalNetwork[]): void {
  const range = parseRange(subnet);
  if (range === undefined) return;
  for (const { spec, subnets } of networks) {
    const same = subnets.find((one) => overlaps(range, one.subnet));
    if (same === undefined) continue;
    throw new SwarmError(
      'permission-denied',
      'Pool overlaps with other one on this address space: ' +
        `the network ${spec.name} has ${same.subnet}`,
    );
  }
}

function freeSubnet({ networks, routes }: Surroundings): string {
  const used = [
    ...networks.flatMap(({ subnets }) => subnets.map(({ subnet }) => subnet)),
    ...routes,
  ];
  for (const pool of defaultLocalPools()) {
    const text = formatSubnet(pool);
    const range = parseRange(text);
    if (range !== undefined && !used.some((one) => overlaps(range, one))) return text;
  }
  throw new SwarmError(
    'resource-exhausted',
    'all predefined address pools have been fully subnetted: name a subnet with --subnet, or ' +
      'remove networks of this host that are not used',
  );
}

/** The default route overlaps everything, and means nothing. */
function overlaps(range: Range, other: string): boolean {
  const parsed = parseRange(other);
  return parsed !== undefined && parsed.prefix > 0 && overlap(range, parsed);
}

/** A subnet of the private range that nobody else is likely to have: of the network's own id. */
function privateIpv6(id: string): string {
  const digits = createHash('sha256').update(id).digest('hex').slice(0, 10);
  const groups = [`fd${digits.slice(0, 2)}`, digits.slice(2, 6), digits.slice(6, 10)];
  return rangeText(parseRange(`${groups.join(':')}::/64`) as Range);
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
