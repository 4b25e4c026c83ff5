/** IP addresses and networks as numbers, for constraints on `node.ip`. */

interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** A network in CIDR notation, or a single address as the network of all its bits. */
export interface AddressRange {
  readonly base: Address;
  readonly prefix: number;
}

export function parseRange(text: string): AddressRange | undefined {
  const [address, prefixText, ...rest] = text.split('/');
  const base = parseAddress(address ?? '');
  if (base === undefined || rest.length > 0) return undefined;
  if (prefixText === undefined) return { base, prefix: base.bits };
  if (!/^\d{1,3}$/.test(prefixText)) return undefined;
  const prefix = Number(prefixText);
  return prefix <= base.bits ? { base, prefix } : undefined;
}

export function inRange(address: Address, { base, prefix }: AddressRange): boolean {
  if (address.bits !== base.bits) return false;
  const hostBits = BigInt(base.bits - prefix);
  return address.value >> hostBits === base.value >> hostBits;
}

export function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Address | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return { bits: 32, value };
}

function parseV6(text: string): Address | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...(tail ?? [])];
  return { bits: 128, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n) };
}

/** The 16-bit groups of one side of "::"; the last may be written as an IPv4 address. */
function groupsOf(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const v4 = index === parts.length - 1 ? parseV4(part) : undefined;
    if (v4 === undefined) return undefined;
    groups.push(Number(v4.value >> 16n), Number(v4.value & 0xffffn));
  }
  return groups;
}
