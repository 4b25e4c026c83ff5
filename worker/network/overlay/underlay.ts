/** The device that carries the data path: how large a packet of an overlay may be. */
import type { Netlink } from '../netlink.ts';
import { canonicalAddress, familyOf, families } from '../netlink/wire.ts';

/** Outer Ethernet is not counted: IP, UDP, VXLAN and the inner Ethernet header. */
const overheads = { [families.inet]: 50, [families.inet6]: 70 } as const;
const mtuDefault = 1500;
const mtuMin = 576;
/** IPv6 does not work on smaller links: then the packets around it travel in pieces. */
const mtuMinIpv6 = 1280;

export interface Underlay {
  /** Where VXLAN packets come from; absent where the data-path address is not of this host. */
  readonly local?: string;
  readonly isIpv6: boolean;
  /** Of the overlay's links. */
  readonly mtu: number;
}

/**
 * `address` is this node's data-path address. One that is not found here is translated somewhere on
 * the way: then the smallest real device decides. `carriesIpv6`: the overlay has IPv6 subnets.
 */
export function findUnderlay(host: Netlink, address: string, carriesIpv6: boolean): Underlay {
  const wanted = canonicalAddress(address);
  const isIpv6 = familyOf(address) === families.inet6;
  const links = host.links();
  const own = host.addresses('all').find(({ cidr }) => cidr.split('/')[0] === wanted);
  const carrier = links.find(({ index }) => index === own?.linkIndex);
  const real = links.filter(({ up, kind, name }) => up && kind === '' && name !== 'lo');
  const carrierMtu = carrier?.mtu ?? Math.min(mtuDefault, ...real.map(({ mtu }) => mtu));
  const overhead = overheads[isIpv6 ? families.inet6 : families.inet] ?? 0;
  return {
    ...(carrier === undefined ? {} : { local: wanted }),
    isIpv6,
    mtu: Math.max(carriesIpv6 ? mtuMinIpv6 : mtuMin, carrierMtu - overhead),
  };
}
