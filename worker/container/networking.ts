/** Which networks a container is to be on: as it is made, and as people change it later. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerDocument, CreateExtras, EndpointSettings } from '../../types/index.ts';
import { parseSettings, sysctlsOption } from '../network/endpoint-settings.ts';
import { parseHost } from '../network/local/ranges.ts';
import { isNetwork } from './connections.ts';
import { bridgeId } from './joining.ts';
import { parseLink } from './link-words.ts';
import { macText } from './mac.ts';
import type { Standalone } from './standalone.ts';
import { isRunning, type ContainerRecord, type WantedNetwork } from './view.ts';

/** A network as commands name it, and as this node knows it by now. */
export interface NamedNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  /** Whether a person has chosen its subnet of the family. */
  readonly hasOwnSubnet: (family: 'IPv4' | 'IPv6') => boolean;
}

const elsewhere = new Set(['host', 'none']);

/** Of a new container. Throws `invalid-argument` in Docker's words, or `unimplemented`. */
export function wantedNetworks(
  networkMode: string,
  { networkDisabled, macAddress }: Pick<ContainerDocument, 'networkDisabled' | 'macAddress'>,
  { networkingConfig, hostConfig }: CreateExtras,
): readonly WantedNetwork[] {
  if (elsewhere.has(networkMode) || networkMode.startsWith('container:')) return [];
  if (networkDisabled) return [];
  const { default: ofDefault, ...named } = networkingConfig?.endpointsConfig ?? {};
  const settings = ofDefault == null ? named : { [bridgeId]: ofDefault, ...named };
  const { [networkMode]: first, ...others } = settings;
  const main = withMac(wantedNetwork(networkMode, first ?? undefined), macAddress);
  return [
    withLinks(main, hostConfig.links ?? []),
    ...Object.entries(others).map(([network, settings]) =>
      wantedNetwork(network, settings ?? undefined),
    ),
  ];
}

/** The container's own is that of its first network: older clients say it in no other way. */
function withMac(wanted: WantedNetwork, given = ''): WantedNetwork {
  if (given === '') return wanted;
  const macAddress = macText(given);
  if (wanted.macAddress === undefined || wanted.macAddress === macAddress) {
    return { ...wanted, macAddress };
  }
  throw invalid(
    `conflicting options: the MAC address of the container, ${macAddress}, and that on its ` +
      `network ${wanted.network}, ${wanted.macAddress}`,
  );
}

/** On the network that people have made and the container is on first, where it has none there. */
function withLinks(wanted: WantedNetwork, links: readonly string[]): WantedNetwork {
  if (wanted.network === bridgeId || wanted.links !== undefined || links.length === 0) {
    return wanted;
  }
  return { ...wanted, links: checkedLinks(wanted.network, links) };
}

export function wantedNetwork(network: string, settings?: EndpointSettings): WantedNetwork {
  const { ipv4Address = '', ipv6Address = '', linkLocalIps: given } = settings?.ipamConfig ?? {};
  const linkLocalIps = given ?? [];
  const aliases = settings?.aliases ?? [];
  const isAsked = ipv4Address !== '' || ipv6Address !== '' || linkLocalIps.length > 0;
  if (network === bridgeId && isAsked) {
    throw invalid('user specified IP address is supported on user defined networks only');
  }
  if (network === bridgeId && aliases.length > 0) {
    throw invalid('network-scoped alias is supported only for containers in user defined networks');
  }
  const { gwPriority = 0 } = settings ?? {};
  const driverOpts = settings?.driverOpts ?? {};
  const macAddress = settings?.macAddress ?? '';
  checkOptions(network, driverOpts);
  checkAddress(ipv4Address, 'IPv4');
  checkAddress(ipv6Address, 'IPv6');
  for (const address of linkLocalIps) checkLinkLocal(address);
  const links = checkedLinks(network, settings?.links ?? []);
  return {
    network,
    aliases,
    ...(ipv4Address === '' ? {} : { ipv4: ipv4Address }),
    ...(ipv6Address === '' ? {} : { ipv6: ipv6Address }),
    ...(macAddress === '' ? {} : { macAddress: macText(macAddress) }),
    ...(linkLocalIps.length === 0 ? {} : { linkLocalIps }),
    ...(Object.keys(driverOpts).length === 0 ? {} : { driverOpts }),
    ...(gwPriority === 0 ? {} : { gwPriority }),
    ...(links.length === 0 ? {} : { links }),
  };
}

function checkedLinks(network: string, links: readonly string[]): readonly string[] {
  if (links.length > 0 && network === bridgeId) {
    throw unsupported(
      'on the network bridge a container has links from its beginning, or none: give them to ' +
        '"docker run" as --link, or put both containers on a network of your own',
    );
  }
  for (const link of links) {
    const { name, alias } = parseLink(link);
    if (name === '' || alias === '') throw invalid(`bad format for links: ${link}`);
  }
  return links;
}

/** Of a container's interface the kernel's settings can be chosen, and nothing else. */
function checkOptions(network: string, driverOpts: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(driverOpts)) {
    if (name !== sysctlsOption) {
      throw unsupported(
        `the driver option ${name} of a container's interface is not known: ${sysctlsOption} is`,
      );
    }
    if (network === bridgeId) {
      throw unsupported(
        'driver options of a container’s interface are for networks that people have made, not ' +
          'for the network bridge',
      );
    }
    parseSettings(value);
  }
}

function checkAddress(text: string, family: 'IPv4' | 'IPv6'): void {
  if (text === '') return;
  const isOfFamily = text.includes(':') === (family === 'IPv6');
  if (isOfFamily && parseHost(text) !== undefined) return;
  throw invalid(`invalid ${family} address: ${text}`);
}

function checkLinkLocal(text: string): void {
  const host = parseHost(text);
  if (host === undefined) throw invalid(`invalid link-local IP address: ${text}`);
  if (/^fe[89ab]/i.test(text)) {
    throw unsupported(
      `the link-local address ${text} cannot be chosen: where a network has IPv6, each interface ` +
        'has one of its own',
    );
  }
  if (!text.startsWith('169.254.')) throw invalid(`invalid link local IP address: ${text}`);
}

/** Throws in Docker's words. `network` is absent where only the managers may know it. */
export async function connect(
  container: Standalone,
  wanted: WantedNetwork,
  network: NamedNetwork | undefined,
): Promise<void> {
  const { record } = container;
  const name = network?.name ?? wanted.network;
  refuseElsewhere(record, name);
  const isOpen = (family: 'IPv4' | 'IPv6') => network?.hasOwnSubnet(family) === false;
  if (
    (wanted.ipv4 !== undefined && isOpen('IPv4')) ||
    (wanted.ipv6 !== undefined && isOpen('IPv6'))
  ) {
    throw invalid(
      'user specified IP address is supported only when connecting to networks with user ' +
        'configured subnets',
    );
  }
  await container.rewire((networks) => {
    if (indexIn(container, networks, wanted.network, network) < 0) return [...networks, wanted];
    if (!isRunning(container.state)) {
      const index = indexIn(container, networks, wanted.network, network);
      return networks.with(index, wanted);
    }
    throw new SwarmError(
      'permission-denied',
      `endpoint with name ${record.name} already exists in network ${name}`,
    );
  });
}

/** Throws in Docker's words. */
export async function disconnect(
  container: Standalone,
  reference: string,
  network: NamedNetwork | undefined,
): Promise<void> {
  const { record } = container;
  const name = network?.name ?? reference;
  if (record.host.networkMode === 'host' && name === 'host') throw hostOnly();
  await container.rewire((networks) => {
    const index = indexIn(container, networks, reference, network);
    if (index >= 0) return networks.toSpliced(index, 1);
    const article = isRunning(container.state) && network !== undefined ? '' : 'the ';
    throw new SwarmError(
      'permission-denied',
      `container ${record.id} is not connected to ${article}network ${name}`,
    );
  });
}

/** The place that the task stands for is not the container's any more, if it was. */
export async function leave(container: Standalone, taskId: string): Promise<void> {
  const place = container.view([]).networks.find((one) => one.taskId === taskId);
  if (place === undefined) return;
  const { networkId, name } = place;
  await container.rewire((networks) =>
    networks.filter(({ network }) => network !== networkId && network !== name),
  );
}

/** It may be on it by its name, its id, or the beginning of either's owner. */
function indexIn(
  container: Standalone,
  networks: readonly WantedNetwork[],
  reference: string,
  network: NamedNetwork | undefined,
): number {
  const joined = container.view([]).networks.find((one) => isNetwork(one, reference));
  const names = new Set([reference, network?.id, network?.name, joined?.networkId, joined?.name]);
  return networks.findIndex((one) => names.has(one.network));
}

function refuseElsewhere({ host }: ContainerRecord, name: string): void {
  const { networkMode } = host;
  if (networkMode === 'host' || name === 'host') throw hostOnly();
  if (networkMode.startsWith('container:')) {
    throw invalid(
      'container sharing network namespace with another container or host cannot be connected ' +
        'to any other network',
    );
  }
  if (networkMode === 'none' || name === 'none') {
    throw invalid(
      'container cannot be connected to multiple networks with one of the networks in private ' +
        '(none) mode',
    );
  }
}

function hostOnly(): SwarmError {
  return invalid('container cannot be disconnected from host network or connected to host network');
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}

function unsupported(message: string): SwarmError {
  return new SwarmError('unimplemented', message);
}
