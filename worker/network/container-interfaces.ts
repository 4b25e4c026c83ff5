/** The inside of a container's namespace: its interfaces, their addresses, and the default route. */
import { assert } from '../../lib/assert.ts';
import type { TaskNetwork } from '../../types/index.ts';
import { inNamespace } from './namespace.ts';
import { Netlink, type Request } from './netlink.ts';
import { addAddress } from './netlink/addresses.ts';
import { setLink } from './netlink/links.ts';
import { setRoute } from './netlink/routes.ts';
import { addressText, canonicalCidr, parseCidr } from './netlink/wire.ts';
import type { AttachedNetwork, Repair } from './part.ts';
import { offersIpv6, turnIpv6On, writeSettings, type Settings } from './settings.ts';
import { macOf, parseAddress } from './subnet.ts';

export interface ContainerInterface {
  /** "eth0" */
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** "10.0.1.5/24", "fd00::5/64" */
  readonly addresses: readonly string[];
  /** The container's default route leads here. */
  readonly gateway?: string;
}

/** Loopback has the first index; a namespace that is new has nothing else. */
export function indexOf(position: number): number {
  return position + 2;
}

/** Of the container's interface on the network. */
export function positionOf(networks: readonly AttachedNetwork[], networkId: string): number {
  const index = networks.findIndex((network) => network.networkId === networkId);
  return networks[index]?.position ?? index;
}

export function interfaceName(position: number): string {
  return `eth${position}`;
}

/** What a container is reached by on a network: what was chosen, or what its address says. */
export function macOfPlace({ macAddress, addresses }: MacFacts): string {
  return macAddress ?? macOfAddresses(addresses);
}

type MacFacts = Pick<TaskNetwork, 'macAddress' | 'addresses'>;

/** Of IPv4 where it has that. */
export function macOfAddresses(addresses: readonly string[]): string {
  const all = addresses.map((cidr) => parseCidr(cidr).bytes);
  const bytes = all.find(({ length }) => length === 4) ?? all[0];
  if (bytes === undefined) throw new RangeError('an interface of a network has an address');
  return macOf(parseAddress(addressText(bytes.subarray(-4))));
}

/** The inside of a container's namespace. */
export interface Inside {
  readonly netnsPath: string;
  readonly netlink: Netlink;
}

/** The link is there. */
export function configureInterface(
  { netnsPath, netlink }: Inside,
  wanted: ContainerInterface,
  knownIndex?: number,
): void {
  const index = knownIndex ?? netlink.link(wanted.name)?.index;
  assert(index !== undefined, 'the link has arrived in the namespace');
  if (hasIpv6(wanted.addresses)) inNamespace(netnsPath, () => turnIpv6On(wanted.name));
  netlink.run(
    ...wanted.addresses.map((cidr) => addAddress(index, cidr)),
    setLink(index, { up: true }),
    ...routesOf(wanted),
  );
}

interface InterfaceAudit {
  readonly repairs: readonly Repair[];
  /**
   * The index of its other end, or of the link that it is on; absent where the link is gone:
   * whoever made it makes it anew.
   */
  readonly peer?: number;
  /** "veth", "macvlan"; absent where the link is gone. */
  readonly kind?: string;
  /** From here on no link of the namespace has an index. */
  readonly freeIndex: number;
}

/** Puts right what can be from inside. What a container has added itself is left alone. */
export function auditInterface(
  { netnsPath, netlink }: Inside,
  wanted: ContainerInterface,
): InterfaceAudit {
  const links = netlink.links();
  const freeIndex = Math.max(1, ...links.map(({ index }) => index)) + 1;
  const link = links.find(({ name }) => name === wanted.name);
  if (link === undefined) return { repairs: [], freeIndex };
  const { index, peer, kind } = link;
  const repairs: Repair[] = [];
  const requests: Request[] = [];
  const change = {
    ...(link.up ? {} : { up: true }),
    ...(link.mtu === wanted.mtu ? {} : { mtu: wanted.mtu }),
    ...(link.mac === wanted.mac ? {} : { mac: wanted.mac }),
  };
  if (Object.keys(change).length > 0) {
    repairs.push({ kind: 'link', what: `${wanted.name}: ${Object.keys(change).join(', ')}` });
    requests.push(setLink(index, change));
  }
  const present = netlink.addresses(hasIpv6(wanted.addresses) ? 'all' : 'ipv4');
  for (const cidr of wanted.addresses) {
    const wantedCidr = canonicalCidr(cidr);
    if (present.some((one) => one.linkIndex === index && one.cidr === wantedCidr)) continue;
    if (hasIpv6([cidr])) inNamespace(netnsPath, () => turnIpv6On(wanted.name));
    repairs.push({ kind: 'address', what: `${cidr} of ${wanted.name}` });
    requests.push(addAddress(index, cidr));
  }
  if (wanted.gateway !== undefined) {
    const isRouted = netlink
      .routeTable()
      .some(({ gateway, destination }) => gateway === wanted.gateway && destination === anywhere);
    if (!isRouted) repairs.push({ kind: 'route', what: `default by ${wanted.gateway}` });
    // A link that was down has lost its routes too.
    if (!isRouted || requests.length > 0) requests.push(...routesOf(wanted));
  }
  netlink.run(...requests);
  return { repairs, freeIndex, peer, kind };
}

const anywhere = '0.0.0.0/0';

function routesOf({ gateway }: ContainerInterface): Request[] {
  return gateway === undefined ? [] : [setRoute({ destination: anywhere, gateway })];
}

export function hasIpv6(addresses: readonly string[]): boolean {
  return addresses.some((cidr) => parseCidr(cidr).bytes.length === 16);
}

/** Inside a new namespace, before anybody sees it. */
export function setUpContainerNamespace(): void {
  writeSettings(namespaceSettings(offersIpv6()));
  using inside = new Netlink();
  inside.setUp(1);
}

/** `hasIpv6`: the kernel does. */
export function namespaceSettings(hasIpv6: boolean): Settings {
  return {
    // IPv6 off until a network has it, as Docker does: no address detection, no router discovery.
    ...(hasIpv6
      ? {
          'ipv6/conf/default/disable_ipv6': 1,
          'ipv6/conf/default/accept_dad': 0,
          'ipv6/conf/default/accept_ra': 0,
        }
      : {}),
    // Requests of the routing mesh come in by another interface than the default route's.
    'ipv4/conf/all/rp_filter': 0,
    'ipv4/conf/default/rp_filter': 0,
  };
}
