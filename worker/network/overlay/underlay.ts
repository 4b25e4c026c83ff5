/** What carries an overlay: how large its packets may be, and where they come from. */
import type { Netlink } from '../netlink.ts';
import { canonicalAddress, familyOf, families } from '../netlink/wire.ts';

/** IP, UDP, VXLAN and the inner Ethernet header; the outer Ethernet header is not counted. */
const vxlanOverhead = { ipv4: 50, ipv6: 70 } as const;
/** IP, UDP and WireGuard's own. */
const tunnelOverhead = { ipv4: 60, ipv6: 80 } as const;
const mtuDefault = 1500;
const mtuMin = 576;
/** IPv6 does not work on smaller links: then the packets around it travel in pieces. */
const mtuMinIpv6 = 1280;

/** The device that has the data-path address. */
export interface Carrier {
  /** Absent where the data-path address is not of this host. */
  readonly local?: string;
  readonly isIpv6: boolean;
  readonly mtu: number;
}

export interface Underlay {
  /** Where VXLAN packets come from; absent: the kernel chooses. */
  readonly local?: string;
  readonly isIpv6: boolean;
  /** Of the overlay's links. */
  readonly mtu: number;
}

/**
 * `address` is this node's data-path address. One that is not found here is translated somewhere on
 * the way: then the smallest real device decides.
 */
export function findCarrier(host: Netlink, address: string): Carrier {
  const wanted = canonicalAddress(address);
  const own = host.addresses('all').find(({ cidr }) => cidr.split('/')[0] === wanted);
  const carrier = own && host.link(own.linkIndex);
  return {
    ...(carrier === undefined ? {} : { local: wanted }),
    isIpv6: familyOf(address) === families.inet6,
    mtu: carrier?.mtu ?? smallestMtu(host),
  };
}

function smallestMtu(host: Netlink): number {
  const real = host.links().filter(({ up, kind, name }) => up && kind === '' && name !== 'lo');
  return Math.min(mtuDefault, ...real.map(({ mtu }) => mtu));
}

/** `carriesIpv6`: the overlay has IPv6 subnets. */
export function plainUnderlay({ local, isIpv6, mtu }: Carrier, carriesIpv6: boolean): Underlay {
  const overhead = isIpv6 ? vxlanOverhead.ipv6 : vxlanOverhead.ipv4;
  return {
    ...(local === undefined ? {} : { local }),
    isIpv6,
    mtu: atLeast(mtu - overhead, carriesIpv6),
  };
}

/**
 * Why a network with IPv6 cannot be carried; undefined where it can. The kernel drops what is too
 * large for the way, and tells the sender of a size that is too small for IPv6: connections
 * would stand still.
 */
export function tooNarrowForIpv6(carrier: Carrier, encrypted: boolean): string | undefined {
  const { isIpv6, mtu } = carrier;
  const outer = isIpv6 ? vxlanOverhead.ipv6 : vxlanOverhead.ipv4;
  const tunnel = isIpv6 ? tunnelOverhead.ipv6 : tunnelOverhead.ipv4;
  const needed = mtuMinIpv6 + (encrypted ? tunnel + vxlanOverhead.ipv6 : outer);
  if (mtu >= needed) return undefined;
  return (
    `IPv6 needs packets of ${mtuMinIpv6} bytes, for which the device that carries the data path ` +
    `must take ${needed}: it takes ${mtu}; raise its MTU, or make the network without IPv6`
  );
}

export function tunnelMtuOf({ isIpv6, mtu }: Carrier): number {
  return atLeast(mtu - (isIpv6 ? tunnelOverhead.ipv6 : tunnelOverhead.ipv4), true);
}

/** Within tunnels everybody has an address of IPv6, which changes with the key. */
export function encryptedUnderlay(carrier: Carrier, carriesIpv6: boolean): Underlay {
  return { isIpv6: true, mtu: atLeast(tunnelMtuOf(carrier) - vxlanOverhead.ipv6, carriesIpv6) };
}

function atLeast(mtu: number, carriesIpv6: boolean): number {
  return Math.max(carriesIpv6 ? mtuMinIpv6 : mtuMin, mtu);
}
