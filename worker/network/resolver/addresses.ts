/** Addresses of both families as bytes, to be compared and looked up whatever their spelling. */
import { isIP } from 'node:net';
import { addressBytes } from '../netlink/wire.ts';

/** 4 or 16 bytes as hex digits; undefined for what is not an address. */
export function addressKey(text: string): string | undefined {
  return isIP(text) === 0 ? undefined : addressBytes(text).toString('hex');
}

/** "10.0.1.5/24" and "10.0.1.5" name the same host. */
export function hostOf(cidr: string): string {
  const slash = cidr.indexOf('/');
  return slash < 0 ? cidr : cidr.slice(0, slash);
}

export function isIpv6(address: string): boolean {
  return address.includes(':');
}

/** Whether the address of `key` lies in the subnet "10.0.1.0/24". */
export function subnetHolds(subnet: string, key: string): boolean {
  const base = addressKey(hostOf(subnet));
  if (base === undefined || base.length !== key.length) return false;
  const bits = Number(subnet.slice(subnet.indexOf('/') + 1));
  const digits = Math.floor(bits / 4);
  if (base.slice(0, digits) !== key.slice(0, digits)) return false;
  const rest = bits % 4;
  if (rest === 0) return true;
  const shift = 4 - rest;
  const digit = (text: string) => Number.parseInt(text.charAt(digits), 16) >> shift;
  return digit(base) === digit(key);
}

/** The address that "5.1.0.10.in-addr.arpa" or a name below ip6.arpa asks for, as its key. */
export function reverseKey(name: string): string | undefined {
  const labels = name.toLowerCase().split('.');
  const suffix = labels.splice(-2).join('.');
  labels.reverse();
  if (suffix === 'in-addr.arpa') return addressKey(labels.join('.'));
  const isWhole = labels.length === 32 && labels.every((label) => /^[0-9a-f]$/.test(label));
  return suffix === 'ip6.arpa' && isWhole ? labels.join('') : undefined;
}
