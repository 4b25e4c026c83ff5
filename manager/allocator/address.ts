/** Addresses and subnets of both families as numbers. */

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

export interface Subnet {
  readonly family: Family;
  /** The network's own address. */
  readonly base: bigint;
  /** Length in bits: 24 in 10.0.1.0/24. */
  readonly prefix: number;
}

const groupsOfV6 = 8;

export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** Undefined for what is no address. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

export function formatAddress({ family, value }: Address): string {
  return family === 4 ? formatV4(Number(value)) : formatV6(value);
}

/** The subnet that "10.0.1.5/24" lies in; undefined for what is no address with a prefix. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, addressText = '', prefixText = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseAddress(addressText);
  if (address === undefined) return undefined;
  const prefix = Number(prefixText);
  if (prefix > bitsOf(address.family)) return undefined;
  return subnetAround(address, prefix);
}

function subnetAround({ family, value }: Address, prefix: number): Subnet {
  const shift = BigInt(bitsOf(family) - prefix);
  return { family, base: (value >> shift) << shift, prefix };
}

export function formatSubnet({ family, base, prefix }: Subnet): string {
  return `${formatAddress({ family, value: base })}/${prefix}`;
}

/** How many addresses there are, the network's own among them. */
export function sizeOf({ family, prefix }: Subnet): bigint {
  return 1n << BigInt(bitsOf(family) - prefix);
}

export function contains(subnet: Subnet, { family, value }: Address): boolean {
  return family === subnet.family && value >= subnet.base && value < subnet.base + sizeOf(subnet);
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && a.base < b.base + sizeOf(b) && b.base < a.base + sizeOf(a);
}

/** The first part of the pool with this prefix that overlaps none of those in use. */
export function firstFreeSubnet(
  pool: Subnet,
  prefix: number,
  inUse: readonly Subnet[],
): Subnet | undefined {
  if (prefix < pool.prefix) return undefined;
  const { family } = pool;
  const step = 1n << BigInt(bitsOf(family) - prefix);
  const end = pool.base + sizeOf(pool);
  const taken = inUse
    .filter((subnet) => overlaps(subnet, pool))
    .toSorted((a, b) => Number(a.base > b.base) - Number(a.base < b.base));
  let base = pool.base;
  for (const subnet of taken) {
    if (base + step <= subnet.base) break;
    const after = subnet.base + sizeOf(subnet);
    if (after > base) base = ((after + step - 1n) / step) * step;
  }
  return base + step <= end ? { family, base, prefix } : undefined;
}

export function formatV4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function parseV4(text: string): Address | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256n + BigInt(part);
  }
  return { family: 4, value };
}

function parseV6(text: string): Address | undefined {
  const halves = text.split('::');
  if (halves.length > 2 || (halves.length === 2 && halves[0]?.includes('.'))) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = groupsOfV6 - head.length - (tail?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...(tail ?? [])];
  return { family: 6, value: groups.reduce((sum, group) => (sum << 16n) | group, 0n) };
}

/** The groups of one side of "::"; the last may be an IPv4 address. */
function groupsOf(text: string): bigint[] | undefined {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [position, part] of parts.entries()) {
    if (part.includes('.')) {
      const v4 = position === parts.length - 1 ? parseV4(part) : undefined;
      if (v4 === undefined) return undefined;
      groups.push(v4.value >> 16n, v4.value & 0xffffn);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return groups;
}

/** As RFC 5952 has it: in lower case, and the longest run of zeros (of two at least) left out. */
function formatV6(value: bigint): string {
  const groups = Array.from({ length: groupsOfV6 }, (_, position) =>
    Number((value >> BigInt(16 * (groupsOfV6 - 1 - position))) & 0xffffn),
  );
  let start = 0;
  let length = 1;
  for (let from = 0; from < groupsOfV6; from++) {
    let to = from;
    while (to < groupsOfV6 && groups[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
  }
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (length < 2) return text(0, groupsOfV6);
  return `${text(0, start)}::${text(start + length, groupsOfV6)}`;
}
