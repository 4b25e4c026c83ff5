/** The bridge and the vxlan device of an overlay network: made, compared and put right. */
import { assert } from '../../../lib/assert.ts';
import { hasIpv6, macOfAddresses } from '../container-interfaces.ts';
import { inNamespaceOf } from '../namespace.ts';
import type { Link, Netlink } from '../netlink.ts';
import { addAddress, removeAddress } from '../netlink/addresses.ts';
import {
  addBridge,
  addVxlan,
  removeLink,
  setLink,
  setPortLearning,
  type LinkChange,
} from '../netlink/links.ts';
import { canonicalAddress, canonicalCidr } from '../netlink/wire.ts';
import type { Repair } from '../part.ts';
import { auditSettings, turnIpv6On, type Settings } from '../settings.ts';
import { bridgeName, vxlanName } from './names.ts';
import type { Underlay } from './underlay.ts';

export interface DevicesWanted {
  readonly vni: number;
  /** UDP port of VXLAN. */
  readonly port: number;
  readonly underlay: Underlay;
  readonly hasIpv6: boolean;
  /** The bridge's own, on the network of the routing mesh: "10.0.0.2/24". */
  readonly bridgeAddresses: readonly string[];
}

/** Indexes of the links. */
export interface Devices {
  readonly bridge: number;
  readonly vxlan: number;
}

interface DevicesAudit extends Devices {
  readonly repairs: readonly Repair[];
  /** All of the namespace, as they are afterwards. */
  readonly links: readonly Link[];
}

/** `netnsFd` is the network's namespace; `inside` a socket of it, `host` one of the host's. */
export function auditDevices(
  wanted: DevicesWanted & { readonly netnsFd: number },
  sockets: { readonly inside: Netlink; readonly host: Netlink },
): DevicesAudit {
  const { inside } = sockets;
  const repairs: Repair[] = [];
  let links = inside.links();
  if (find(links, bridgeName)?.kind !== 'bridge') {
    inside.run(removeLink(bridgeName), addBridge(bridgeName, { mtu: wanted.underlay.mtu }));
    repairs.push({ kind: 'link', what: bridgeName });
  }
  if (!isSame(find(links, vxlanName), wanted)) {
    inside.run(removeLink(vxlanName));
    addVxlanFor(wanted, sockets.host);
    // Neighbours of a protocol that is off on a device are refused.
    if (wanted.hasIpv6) inNamespaceOf(wanted.netnsFd, () => turnIpv6On(vxlanName));
    repairs.push({ kind: 'link', what: vxlanName });
  }
  if (repairs.length > 0) links = inside.links();
  const bridge = find(links, bridgeName);
  const vxlan = find(links, vxlanName);
  assert(bridge !== undefined && vxlan !== undefined, 'both devices were just made');
  repairs.push(...auditBridge(bridge, wanted, inside));
  const { mtu } = wanted.underlay;
  if (!vxlan.up || vxlan.master !== bridge.index || vxlan.mtu !== mtu) {
    inside.run(
      setLink(vxlan.index, { up: true, master: bridge.index, mtu }),
      setPortLearning(vxlan.index, false),
    );
    repairs.push({ kind: 'link', what: `settings of ${vxlanName}` });
  }
  repairs.push(...auditDeviceSettings(wanted));
  return { bridge: bridge.index, vxlan: vxlan.index, repairs, links };
}

function auditBridge(
  bridge: Link,
  wanted: DevicesWanted & { readonly netnsFd: number },
  inside: Netlink,
): Repair[] {
  const repairs: Repair[] = [];
  const { bridgeAddresses } = wanted;
  const { mtu } = wanted.underlay;
  // Where it has an address of its own, other nodes reach it by the MAC that follows from it.
  const mac = bridgeAddresses.length > 0 ? macOfAddresses(bridgeAddresses) : bridge.mac;
  const change: LinkChange = {
    ...(bridge.up ? {} : { up: true }),
    ...(bridge.mtu === mtu ? {} : { mtu }),
    ...(bridge.mac === mac ? {} : { mac }),
  };
  if (Object.keys(change).length > 0) {
    inside.run(setLink(bridge.index, change));
    repairs.push({ kind: 'link', what: `${bridgeName}: ${Object.keys(change).join(', ')}` });
  }
  const present = inside
    .addresses('all')
    .filter(({ linkIndex }) => linkIndex === bridge.index)
    .map(({ cidr }) => cidr);
  const right = bridgeAddresses.map(canonicalCidr);
  for (const cidr of right.filter((one) => !present.includes(one))) {
    if (hasIpv6([cidr])) inNamespaceOf(wanted.netnsFd, () => turnIpv6On(bridgeName));
    inside.run(addAddress(bridge.index, cidr));
    repairs.push({ kind: 'address', what: `${cidr} of ${bridgeName}` });
  }
  for (const cidr of present.filter((one) => !right.includes(one))) {
    inside.run(removeAddress(bridge.index, cidr));
    repairs.push({ kind: 'address', what: `${cidr} that ${bridgeName} is not to have` });
  }
  return repairs;
}

/** The kernel tells nobody when these change. */
export function auditDeviceSettings(
  wanted: DevicesWanted & { readonly netnsFd: number },
): readonly Repair[] {
  return inNamespaceOf(wanted.netnsFd, () => auditSettings(settingsOf(wanted)));
}

/**
 * What is bridged is not for netfilter, which would track each connection once more. The kernel has
 * it the other way in every new namespace, from the moment that somebody loads br_netfilter. The
 * protocol of a network's neighbours must be on at the device that they are behind.
 */
function settingsOf({ hasIpv6: carriesIpv6 }: DevicesWanted): Settings {
  return {
    'bridge/bridge-nf-call-iptables': 0,
    'bridge/bridge-nf-call-ip6tables': 0,
    'bridge/bridge-nf-call-arptables': 0,
    ...(carriesIpv6 ? { [`ipv6/conf/${vxlanName}/disable_ipv6`]: 0 } : {}),
  };
}

function addVxlanFor(
  { vni, port, underlay, netnsFd }: DevicesWanted & { readonly netnsFd: number },
  host: Netlink,
): void {
  const { local, isIpv6, mtu } = underlay;
  host.run(
    addVxlan({
      name: vxlanName,
      vni,
      port,
      isIpv6,
      mtu,
      netnsFd,
      ...(local === undefined ? {} : { local }),
    }),
  );
}

function isSame(link: Link | undefined, { vni, port, underlay }: DevicesWanted): boolean {
  if (link?.vxlan === undefined) return false;
  const { local } = underlay;
  return (
    link.vxlan.vni === vni &&
    link.vxlan.port === port &&
    (local === undefined || canonicalAddress(link.vxlan.local) === local)
  );
}

function find(links: readonly Link[], name: string): Link | undefined {
  return links.find((link) => link.name === name);
}
