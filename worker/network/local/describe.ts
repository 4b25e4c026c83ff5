/** What a network's spec means for this host. */
import { SwarmError } from '../../../lib/errors.ts';
import type { Netlink } from '../netlink.ts';
import { BridgeDevice } from './bridge-device.ts';
import type { Device } from './device.ts';
import { macvlanModes } from '../netlink/links.ts';
import { ipvlanFlags, ipvlanModes } from './links.ts';
import type { KeptNetwork } from './network-files.ts';
import { driverOf, mtuOf, options, type LocalNetwork } from './plan.ts';
import { withPrefix } from './ranges.ts';
import type { BridgeRules } from './ruleset.ts';
import { SharedDevice, type SharedKind, type SharedWanted } from './shared-device.ts';

export const mtuDefault = 1500;
const shownIdLength = 12;

export function deviceOf(network: KeptNetwork, host: Netlink, mtu: number): Device {
  const { spec, subnets } = network;
  if (driverOf(spec) !== 'bridge') {
    return new SharedDevice(sharedOf(network), host, { ownsParent: network.ownsParent ?? false });
  }
  const addresses = subnets.map(({ gateway, subnet }) => withPrefix(gateway, subnet));
  const wanted = { name: bridgeNameOf(network), mtu: mtuOf(spec) ?? mtu, addresses };
  return new BridgeDevice(wanted, host);
}

/** Nothing for networks that are not bridges. */
export function bridgeRulesOf(network: LocalNetwork): readonly BridgeRules[] {
  const { spec, subnets } = network;
  if (driverOf(spec) !== 'bridge') return [];
  return [
    {
      link: bridgeNameOf(network),
      subnets: subnets.map(({ subnet }) => subnet),
      isInternal: spec.internal === true,
      isMasqueraded: spec.options?.[options.masquerade] !== 'false',
    },
  ];
}

/** Links of bridges from which containers get out, by the family of their packets. */
export function bridgesOf(networks: readonly LocalNetwork[]): {
  readonly ip: readonly string[];
  readonly ip6: readonly string[];
} {
  const open = networks.flatMap(bridgeRulesOf).filter(({ isInternal }) => !isInternal);
  const having = (isIpv6: boolean) =>
    open.filter(({ subnets }) => subnets.some((one) => one.includes(':') === isIpv6));
  const links = (isIpv6: boolean) => having(isIpv6).map(({ link }) => link);
  return { ip: links(false), ip6: links(true) };
}

/**
 * The network that a container's default route of the family leads by: of those that have a way
 * out, the first of the highest priority.
 */
export function leavesBy<T extends LocalNetwork>(
  networks: readonly { readonly network: T; readonly gwPriority?: number | undefined }[],
  family: 'ipv4' | 'ipv6',
): T | undefined {
  const hasFamily = ({ subnets }: T) =>
    subnets.some(({ subnet }) => subnet.includes(':') === (family === 'ipv6'));
  return networks
    .filter(({ network }) => network.spec.internal !== true && !leadsNowhere(network.spec))
    .filter(({ network }) => hasFamily(network))
    .toSorted((a, b) => (b.gwPriority ?? 0) - (a.gwPriority ?? 0))[0]?.network;
}

/** Whether the link that containers share is made for this network, and goes with it. */
export function ownsParent({ spec }: LocalNetwork, host: Netlink): boolean {
  if (driverOf(spec) === 'bridge') return false;
  const parent = spec.options?.[options.parent] ?? '';
  return parent === '' || (/\.\d{1,4}$/.test(parent) && host.link(parent) === undefined);
}

/** Throws SwarmError where somebody else has the link that the network is to be made of. */
export function refuseTakenLinks(
  { id, spec }: LocalNetwork,
  others: readonly LocalNetwork[],
  host: Netlink,
): void {
  if (driverOf(spec) === 'bridge') {
    const name = spec.options?.[options.bridgeName] ?? '';
    if (name === '' || host.link(name) === undefined) return;
    throw new SwarmError('already-exists', `a link ${name} is on this host already`);
  }
  const parent = spec.options?.[options.parent] ?? '';
  const other = others.find(
    (one) =>
      one.id !== id &&
      driverOf(one.spec) !== 'bridge' &&
      one.spec.options?.[options.parent] === parent,
  );
  if (parent === '' || other === undefined) return;
  throw new SwarmError(
    'permission-denied',
    `network ${other.spec.name} is already using parent interface ${parent}`,
  );
}

function bridgeNameOf({ id, spec }: LocalNetwork): string {
  return spec.options?.[options.bridgeName] || `br-${id.slice(0, shownIdLength)}`;
}

function leadsNowhere(spec: LocalNetwork['spec']): boolean {
  return driverOf(spec) !== 'bridge' && (spec.options?.[options.parent] ?? '') === '';
}

function sharedOf({ id, spec }: KeptNetwork): SharedWanted {
  const given = spec.options ?? {};
  return {
    parent: given[options.parent] || `dm-${id.slice(0, shownIdLength)}`,
    leadsNowhere: leadsNowhere(spec),
    kind: sharedKind(spec),
  };
}

/** How containers share the link. Throws `invalid-argument`. */
export function sharedKind(spec: LocalNetwork['spec']): SharedKind {
  const given = spec.options ?? {};
  const chosen = <T extends string>(option: string, values: Record<T, number>, usual: T): T => {
    const text = given[option] ?? '';
    if (text === '') return usual;
    const names = Object.keys(values) as T[];
    const found = names.find((name) => name === text);
    if (found !== undefined) return found;
    throw new SwarmError(
      'invalid-argument',
      `${option} "${text}" is not one of ${names.join(', ')}`,
    );
  };
  if (driverOf(spec) === 'macvlan') {
    return { name: 'macvlan', mode: chosen('macvlan_mode', macvlanModes, 'bridge') };
  }
  return {
    name: 'ipvlan',
    mode: chosen('ipvlan_mode', ipvlanModes, 'l2'),
    flag: chosen('ipvlan_flag', ipvlanFlags, 'bridge'),
  };
}
