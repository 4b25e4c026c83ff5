/** Subnets of both address families as numbers: choosing them, and addresses within. Pure. */
import { isIP } from 'node:net';
import type { NetworkSubnet } from '../../../types/index.ts';
import { addressBytes, addressText } from '../netlink/wire.ts';

export interface Range {
  /** 32 or 128. */
  readonly bits: number;
  /** The subnet's own address. */
  readonly base: bigint;
  readonly prefix: number;
}

interface HostAddress {
  readonly bits: number;
  readonly value: bigint;
}

/** Undefined for what is no address. */
export function parseHost(text: string): HostAddress | undefined {
  if (isIP(text) === 0) return undefined;
  const bytes = addressBytes(text);
  return { bits: bytes.length * 8, value: BigInt(`0x${bytes.toString('hex')}`) };
}

export function hostText({ bits, value }: HostAddress): string {
  return addressText(Buffer.from(value.toString(16).padStart(bits / 4, '0'), 'hex'));
}

/** "10.0.1.5/24" lies in 10.0.1.0/24; undefined for what is no address with a prefix. */
export function parseRange(cidr: string): Range | undefined {
  const [, text = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(cidr) ?? [];
  const host = parseHost(text);
  const prefix = Number(length);
  if (host === undefined || prefix > host.bits) return undefined;
  const shift = BigInt(host.bits - prefix);
  return { bits: host.bits, base: (host.value >> shift) << shift, prefix };
}

export function rangeText({ bits, base, prefix }: Range): string {
  return `${hostText({ bits, value: base })}/${prefix}`;
}

export function sizeOf({ bits, prefix }: Range): bigint {
  return 1n << BigInt(bits - prefix);
}

export function holds(range: Range, { bits, value }: HostAddress): boolean {
  return bits === range.bits && value >= range.base && value < range.base + sizeOf(range);
}

export function isWithin(inner: Range, outer: Range): boolean {
  return inner.prefix >= outer.prefix && holds(outer, { bits: inner.bits, value: inner.base });
}

export function overlap(a: Range, b: Range): boolean {
  return isWithin(a, b) || isWithin(b, a);
}

/** The `index`th address, as "10.0.1.1" is the first of 10.0.1.0/24. */
export function nthHost(range: Range, index: bigint): string {
  return hostText({ bits: range.bits, value: range.base + index });
}

/** "10.0.1.5" in 10.0.1.0/24 as "10.0.1.5/24". */
export function withPrefix(address: string, subnet: string): string {
  return `${address}/${subnet.slice(subnet.indexOf('/') + 1)}`;
}

/** However large the subnet is: more than this are not looked through. */
const searchMax = 70_000n;

/**
 * The next address after `last` that nobody has, going round: one that was just freed is not given
 * out again while others remember it. Undefined where all are taken.
 */
export function freeHost(
  { subnet, ipRange, gateway, reserved = [] }: NetworkSubnet,
  taken: ReadonlySet<string>,
  last?: string,
): string | undefined {
  const whole = parseRange(subnet);
  const part = parseRange(ipRange ?? subnet);
  if (whole === undefined || part === undefined) return undefined;
  const never = new Set([gateway, ...reserved, nthHost(whole, 0n)]);
  // The last address of an IPv4 subnet means everybody in it.
  if (whole.bits === 32) never.add(nthHost(whole, sizeOf(whole) - 1n));
  const size = sizeOf(part);
  const before = last === undefined ? undefined : parseHost(last);
  const isInside = before !== undefined && holds(part, before);
  const start = isInside ? before.value - part.base + 1n : 0n;
  const steps = size < searchMax ? size : searchMax;
  for (let step = 0n; step < steps; step++) {
    const candidate = nthHost(part, (start + step) % size);
    if (!never.has(candidate) && !taken.has(candidate)) return candidate;
  }
  return undefined;
}
