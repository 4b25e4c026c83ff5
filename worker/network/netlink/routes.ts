/** Requests about routes. Numbers are those of linux/rtnetlink.h. */
import {
  addressBytes,
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

export const routeTypes = { add: 24, remove: 25, get: 26 } as const;

const attributes = { destination: 1, outInterface: 4, gateway: 5 } as const;
const mainTable = 254;
const bootProtocol = 3;
const unicast = 1;
const linkScope = 253;
const headerLength = 12;

/** A unicast route of the main table. */
export interface Route {
  /** "172.18.0.0/16"; the default route is "0.0.0.0/0" or "::/0". */
  readonly destination: string;
  readonly gateway?: string;
  readonly linkIndex: number;
}

export function dumpRoutes(family: number): Buffer {
  const bytes = Buffer.alloc(headerLength);
  bytes.writeUInt8(family, 0);
  return bytes;
}

export function readRoute(body: Buffer): Route | undefined {
  const family = body[0];
  if (family !== families.inet && family !== families.inet6) return undefined;
  if (body[4] !== mainTable || body[7] !== unicast) return undefined;
  const found = readAttributes(body.subarray(headerLength));
  const destination = found.get(attributes.destination);
  const gateway = found.get(attributes.gateway);
  const any = family === families.inet ? '0.0.0.0' : '::';
  return {
    destination: `${destination === undefined ? any : addressText(destination)}/${body[1] ?? 0}`,
    ...(gateway === undefined ? {} : { gateway: addressText(gateway) }),
    linkIndex: found.get(attributes.outInterface)?.readUInt32LE(0) ?? 0,
  };
}

/** Takes the place of another route to the same destination. */
export function setRoute(route: {
  readonly destination: string;
  readonly gateway?: string;
  readonly linkIndex?: number;
}): Request {
  return {
    type: routeTypes.add,
    flags: flags.create | flags.replace,
    what: `set the route to ${route.destination}`,
    body: Buffer.concat([
      header(route.destination, route.gateway === undefined ? linkScope : 0),
      ...destinationOf(route.destination),
      ...(route.gateway === undefined
        ? []
        : [attribute(attributes.gateway, addressBytes(route.gateway))]),
      ...(route.linkIndex === undefined
        ? []
        : [attribute(attributes.outInterface, uint32(route.linkIndex))]),
    ]),
  };
}

function header(destination: string, scope: number): Buffer {
  const { prefix, address } = parseCidr(destination);
  const bytes = Buffer.alloc(headerLength);
  bytes.writeUInt8(familyOf(address), 0);
  bytes.writeUInt8(prefix, 1);
  bytes.writeUInt8(mainTable, 4);
  bytes.writeUInt8(bootProtocol, 5);
  bytes.writeUInt8(scope, 6);
  bytes.writeUInt8(unicast, 7);
  return bytes;
}

function destinationOf(destination: string): Buffer[] {
  const { bytes, prefix } = parseCidr(destination);
  return prefix === 0 ? [] : [attribute(attributes.destination, bytes)];
}
