/** IPv4 subnets as numbers: choosing one that is free, and addresses within it. */

export interface Subnet {
  /** The network's own address, as a number. */
  readonly base: number;
  readonly prefix: number;
}

export function parseAddress(text: string): number {
  const bytes = text.split('.').map(Number);
  const isAddress =
    bytes.length === 4 && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255);
  if (!isAddress) throw new RangeError(`"${text}" is not an IPv4 address`);
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** "172.18.0.5/16" names the subnet 172.18.0.0/16. */
export function parseSubnet(cidr: string): Subnet {
  const [address = '', prefixText = '32'] = cidr.split('/');
  const prefix = Number(prefixText);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > 32) {
    throw new RangeError(`"${cidr}" has no prefix length from 0 to 32`);
  }
  const base = parseAddress(address);
  return { base: base - (base % subnetSize(prefix)), prefix };
}

function subnetSize(prefix: number): number {
  return 2 ** (32 - prefix);
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefix}`;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + subnetSize(b.prefix) && b.base < a.base + subnetSize(a.prefix);
}

/** The first candidate that overlaps none of those in use. */
export function firstFree(
  candidates: Iterable<Subnet>,
  inUse: readonly Subnet[],
): Subnet | undefined {
  for (const candidate of candidates) {
    if (!inUse.some((used) => overlaps(candidate, used))) return candidate;
  }
  return undefined;
}

/** Docker's default local pools: 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 …. */
export function* defaultLocalPools(): Iterable<Subnet> {
  for (let second = 18; second < 32; second++) yield parseSubnet(`172.${second}.0.0/16`);
  for (let third = 0; third < 256; third += 16) yield parseSubnet(`192.168.${third}.0/20`);
}

/**
 * The next free host address after `last`, going round; undefined when all are taken. Going round
 * keeps an address that was just freed from being given out again while caches remember it.
 */
export function nextAddress(
  subnet: Subnet,
  taken: ReadonlySet<number>,
  last: number,
): number | undefined {
  const first = subnet.base + 1;
  const count = subnetSize(subnet.prefix) - 2;
  const start = last >= first && last < first + count ? last - first + 1 : 0;
  for (let step = 0; step < count; step++) {
    const candidate = first + ((start + step) % count);
    if (!taken.has(candidate)) return candidate;
  }
  return undefined;
}

/** Docker's rule: 02:42, then the four bytes of the address. */
export function macOf(address: number): string {
  const bytes = formatAddress(address)
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}
