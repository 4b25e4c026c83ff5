/** Requests about neighbours and forwarding entries. Numbers are those of linux/neighbour.h. */
import { errno } from '../syscalls.ts';
import {
  addressBytes,
  addressText,
  attribute,
  families,
  familyOf,
  flags,
  macBytes,
  macText,
  readAttributes,
  type Request,
} from './wire.ts';

export const neighbourTypes = { add: 28, remove: 29, get: 30 } as const;

const attributes = { destination: 1, linkAddress: 2, master: 9 } as const;
const states = { reachable: 0x02, noArp: 0x40, permanent: 0x80 } as const;
/** Of a forwarding entry: the device's own table, or that of the bridge it belongs to. */
const entryFlags = { self: 0x02, master: 0x04 } as const;
const headerLength = 12;

/** An entry of a device's own table: frames for `mac` go to the node at `destination`. */
export interface ForwardingEntry {
  readonly linkIndex: number;
  readonly mac: string;
  /** In a vxlan device's own table. */
  readonly destination?: string;
  /** Whether it is the bridge's, and not the device's own. */
  readonly ofBridge: boolean;
  /** It neither ages nor was it learnt. */
  readonly isStatic: boolean;
  /** Frames for it are the host's own, or of what shares the link: they leave by no port. */
  readonly isLocal: boolean;
}

export interface Neighbour {
  readonly linkIndex: number;
  readonly address: string;
  readonly mac: string;
  readonly isPermanent: boolean;
}

export function dumpNeighbours(family: number): Buffer {
  return header(family, 0, 0, 0);
}

export function readForwarding(body: Buffer): ForwardingEntry | undefined {
  const found = readAttributes(body.subarray(headerLength));
  const mac = found.get(attributes.linkAddress);
  if (body[0] !== families.bridge || mac === undefined) return undefined;
  const destination = found.get(attributes.destination);
  const ofBridge = found.has(attributes.master);
  return {
    linkIndex: body.readInt32LE(4),
    mac: macText(mac),
    ...(destination === undefined ? {} : { destination: addressText(destination) }),
    ofBridge,
    isStatic: (body.readUInt16LE(8) & states.noArp) !== 0,
    isLocal: (body.readUInt16LE(8) & states.permanent) !== 0,
  };
}

export function readNeighbour(body: Buffer): Neighbour | undefined {
  const found = readAttributes(body.subarray(headerLength));
  const address = found.get(attributes.destination);
  if (address === undefined || body[0] === families.bridge) return undefined;
  return {
    linkIndex: body.readInt32LE(4),
    address: addressText(address),
    mac: macText(found.get(attributes.linkAddress)),
    isPermanent: (body.readUInt16LE(8) & states.permanent) !== 0,
  };
}

/**
 * Frames for `mac` leave by this port of a bridge; with `destination`, the port is a vxlan device
 * and sends them to that node. Both tables are told in one message.
 */
export function setForwarding(linkIndex: number, mac: string, destination?: string): Request {
  const where = entryFlags.master | (destination === undefined ? 0 : entryFlags.self);
  return {
    type: neighbourTypes.add,
    flags: flags.create | flags.replace,
    what: `forward ${mac}${destination === undefined ? '' : ` to ${destination}`}`,
    body: Buffer.concat([
      header(families.bridge, linkIndex, states.reachable | states.noArp, where),
      attribute(attributes.linkAddress, macBytes(mac)),
      ...(destination === undefined
        ? []
        : [attribute(attributes.destination, addressBytes(destination))]),
    ]),
  };
}

/** Frames for `mac` go to what is on the bridge itself, by no port: of the bridge's own table. */
export function setLocal(bridgeIndex: number, mac: string): Request {
  return {
    type: neighbourTypes.add,
    flags: flags.create | flags.replace,
    what: `keep ${mac} at the bridge`,
    body: Buffer.concat([
      header(families.bridge, bridgeIndex, states.permanent, entryFlags.self),
      attribute(attributes.linkAddress, macBytes(mac)),
    ]),
  };
}

/** From the bridge's table, and with `own` from the device's. One that is gone is not an error. */
export function removeForwarding(linkIndex: number, mac: string, table: 'bridge' | 'own'): Request {
  return {
    type: neighbourTypes.remove,
    flags: 0,
    what: `no longer forward ${mac}`,
    tolerated: [errno.notFound],
    body: Buffer.concat([
      header(families.bridge, linkIndex, 0, table === 'own' ? entryFlags.self : entryFlags.master),
      attribute(attributes.linkAddress, macBytes(mac)),
    ]),
  };
}

export function setNeighbour(linkIndex: number, address: string, mac: string): Request {
  return {
    type: neighbourTypes.add,
    flags: flags.create | flags.replace,
    what: `set the neighbour ${address}`,
    body: Buffer.concat([
      header(familyOf(address), linkIndex, states.permanent, 0),
      attribute(attributes.destination, addressBytes(address)),
      attribute(attributes.linkAddress, macBytes(mac)),
    ]),
  };
}

/** One that is not there is not an error. */
export function removeNeighbour(linkIndex: number, address: string): Request {
  return {
    type: neighbourTypes.remove,
    flags: 0,
    what: `remove the neighbour ${address}`,
    tolerated: [errno.notFound],
    body: Buffer.concat([
      header(familyOf(address), linkIndex, 0, 0),
      attribute(attributes.destination, addressBytes(address)),
    ]),
  };
}

function header(family: number, linkIndex: number, state: number, entry: number): Buffer {
  const bytes = Buffer.alloc(headerLength);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(linkIndex, 4);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt8(entry, 10);
  return bytes;
}
