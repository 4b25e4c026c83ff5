/** Requests about the addresses of links. Numbers are those of linux/if_addr.h. */
import { errno } from '../syscalls.ts';
import {
  addressText,
  attribute,
  families,
  familyOf,
  flags,
  parseCidr,
  readAttributes,
  uint32,
  type Request,
} from './wire.ts';

export const addressTypes = { add: 20, remove: 21, get: 22 } as const;

const attributes = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
/** No address detection: the managers give each address out once. */
const noDetection = 2;
const linkScope = 253;
const headerLength = 8;

export interface LinkAddress {
  readonly linkIndex: number;
  /** "172.18.0.1/16", "fd00::5/64" */
  readonly cidr: string;
}

export function dumpAddresses(family: number): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt8(family, 0);
  return header;
}

/** Undefined for addresses that the kernel gives to links by itself. */
export function readAddress(body: Buffer): LinkAddress | undefined {
  const family = body[0];
  if (family !== families.inet && family !== families.inet6) return undefined;
  if (family === families.inet6 && body[3] === linkScope) return undefined;
  const found = readAttributes(body.subarray(headerLength));
  const local = found.get(attributes.local) ?? found.get(attributes.address);
  if (local === undefined) return undefined;
  return { linkIndex: body.readUInt32LE(4), cidr: `${addressText(local)}/${body[1] ?? 0}` };
}

/** `cidr` such as "172.18.0.5/16"; the broadcast address is set along. */
export function addAddress(index: number, cidr: string): Request {
  const { bytes, prefix, address } = parseCidr(cidr);
  const isIpv6 = familyOf(address) === families.inet6;
  return {
    type: addressTypes.add,
    flags: flags.create | flags.exclusive,
    what: `add the address ${cidr}`,
    body: Buffer.concat([
      header(index, cidr),
      attribute(attributes.local, bytes),
      attribute(attributes.address, bytes),
      isIpv6
        ? attribute(attributes.flags, uint32(noDetection))
        : attribute(attributes.broadcast, broadcastOf(bytes, prefix)),
    ]),
  };
}

/** One that is not there is not an error. */
export function removeAddress(index: number, cidr: string): Request {
  return {
    type: addressTypes.remove,
    flags: 0,
    what: `remove the address ${cidr}`,
    tolerated: [errno.addressNotAvailable],
    body: Buffer.concat([header(index, cidr), attribute(attributes.local, parseCidr(cidr).bytes)]),
  };
}

function header(index: number, cidr: string): Buffer {
  const { prefix, address } = parseCidr(cidr);
  const bytes = Buffer.alloc(headerLength);
  bytes.writeUInt8(familyOf(address), 0);
  bytes.writeUInt8(prefix, 1);
  bytes.writeUInt32LE(index, 4);
  return bytes;
}

function broadcastOf(bytes: Buffer, prefix: number): Buffer {
  const hostBits = prefix === 0 ? 0xffffffff : 2 ** (32 - prefix) - 1;
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((bytes.readUInt32BE(0) | hostBits) >>> 0);
  return broadcast;
}
