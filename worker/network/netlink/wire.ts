/** Netlink messages as bytes: headers, attributes, and the values in them. */
import { isIPv6 } from 'node:net';

/** One message to the kernel, before it has a sequence number. */
export interface Request {
  readonly type: number;
  /** Besides `request`, which every message has. */
  readonly flags: number;
  readonly body: Buffer;
  /** What is asked, in a few words, for the error that it may end in. */
  readonly what: string;
  /** Error numbers that mean that all is well. */
  readonly tolerated?: readonly number[];
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

export const headerBytes = 16;
export const flags = {
  request: 1,
  ack: 4,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  dump: 0x300,
} as const;
export const controlTypes = { error: 2, done: 3 } as const;
export const families = { unspecified: 0, inet: 2, bridge: 7, inet6: 10 } as const;

const nestedFlag = 0x8000;

export function writeMessage(
  type: number,
  messageFlags: number,
  sequence: number,
  body: Buffer,
): Buffer {
  const message = Buffer.alloc(aligned(headerBytes + body.length));
  message.writeUInt32LE(headerBytes + body.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(messageFlags, 6);
  message.writeUInt32LE(sequence, 8);
  body.copy(message, headerBytes);
  return message;
}

export function* readMessages(bytes: Buffer): Iterable<Message> {
  for (let at = 0; at + headerBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    yield {
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      body: bytes.subarray(at + headerBytes, at + length),
    };
    at += aligned(Math.max(length, headerBytes));
  }
}

export function readAttributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) break;
    found.set(bytes.readUInt16LE(at + 2) & ~nestedFlag, bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return found;
}

export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(aligned(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}

/** An attribute whose value is a list of attributes. */
export function nested(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | nestedFlag, Buffer.concat(attributes));
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

export function cString(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function uint8(value: number): Buffer {
  return Buffer.from([value]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Ports are in the order of the network. */
export function port(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function text(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : bytes.toString('utf8').replace(/\0$/, '');
}

export function macText(bytes: Buffer | undefined): string {
  const hex = bytes?.toString('hex') ?? '';
  return hex.replaceAll(/..(?!$)/g, '$&:');
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

export function familyOf(address: string): number {
  return isIPv6(address) ? families.inet6 : families.inet;
}

/** Four or sixteen bytes. */
export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const bytes = Buffer.alloc(16);
  const [head = '', tail] = withoutEmbedded(address).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const last = tail === undefined ? [] : groups(tail);
  for (const [index, group] of groups(head).entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  }
  for (const [index, group] of last.entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 16 - (last.length - index) * 2);
  }
  return bytes;
}

/** "::ffff:10.0.0.1" holds an IPv4 address where two groups belong. */
function withoutEmbedded(address: string): string {
  const match = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (match === null) return address;
  const [, head, a, b, c, d] = match;
  const group = (high = '', low = '') => (Number(high) * 256 + Number(low)).toString(16);
  return `${head}${group(a, b)}:${group(c, d)}`;
}

/** The one way in which an address is written here: keys of maps depend on it. */
export function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  if (best.at < 0) return hex(groups);
  return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`;
}

/** An address however it is written, in the way in which it is written here. */
export function canonicalAddress(address: string): string {
  return isIPv6(address) ? addressText(addressBytes(address)) : address;
}

export function parseCidr(cidr: string): { address: string; bytes: Buffer; prefix: number } {
  const [address = '', prefix] = cidr.split('/');
  const bytes = addressBytes(address);
  return { address, bytes, prefix: prefix === undefined ? bytes.length * 8 : Number(prefix) };
}

/** "10.0.1.5/24" or "fd00::5/64", written in the one way. */
export function canonicalCidr(cidr: string): string {
  const { bytes, prefix } = parseCidr(cidr);
  return `${addressText(bytes)}/${prefix}`;
}
