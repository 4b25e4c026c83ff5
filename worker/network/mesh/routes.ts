/** Requests about routing rules and about routes of other tables than the main one. */
import {
  addressBytes,
  attribute,
  cString,
  families,
  flags,
  nested,
  readAttributes,
  uint32,
  type Request,
} from '../netlink/wire.ts';
import type { Netlink } from '../netlink.ts';
import { errno, SyscallError } from '../syscalls.ts';
import type { AddressFamily } from '../balancer/index.ts';

const types = { addRoute: 24, getRoute: 26, addRule: 32, removeRule: 33, getRule: 34 } as const;
const ruleAttributes = { inputName: 3, priority: 6, mark: 10, table: 15, maskOfMark: 16 } as const;
const routeAttributes = {
  destination: 1,
  outInterface: 4,
  gateway: 5,
  priority: 6,
  metrics: 8,
  table: 15,
} as const;
const mtuMetric = 2;
const ruleHeaderLength = 12;
const routeHeaderLength = 12;
const toTable = 1;
const unicast = 1;
const localType = 2;
/** The metric of a route that counts only where the loopback's own does not. */
const behindLoopback = 2048;
const staticProtocol = 4;
const onLink = 4;

export const localTable = 255;
export const mainTable = 254;

const numberOf = (family: AddressFamily) => (family === 'ip' ? families.inet : families.inet6);

interface RoutingRule {
  readonly family: AddressFamily;
  readonly priority: number;
  readonly table: number;
  /** `lo`: what this namespace sends itself. */
  readonly inputName?: string;
  readonly mark?: { readonly bits: number; readonly mask: number };
}

/** Fails with EEXIST where it is there. */
export function addRule(rule: RoutingRule): Request {
  const { inputName, mark } = rule;
  return {
    type: types.addRule,
    flags: flags.create | flags.exclusive,
    what: `add the routing rule ${rule.priority}`,
    body: Buffer.concat([
      ruleHeader(rule),
      ...(inputName === undefined ? [] : [attribute(ruleAttributes.inputName, cString(inputName))]),
      ...(mark === undefined
        ? []
        : [
            attribute(ruleAttributes.mark, uint32(mark.bits)),
            attribute(ruleAttributes.maskOfMark, uint32(mark.mask)),
          ]),
    ]),
  };
}

/** One that is not there is not an error. */
export function removeRule(rule: RoutingRule): Request {
  return {
    type: types.removeRule,
    flags: 0,
    what: `remove the routing rule ${rule.priority}`,
    tolerated: [errno.notFound],
    body: ruleHeader(rule),
  };
}

function ruleHeader({ family, priority, table }: RoutingRule): Buffer {
  const bytes = Buffer.alloc(ruleHeaderLength);
  bytes.writeUInt8(numberOf(family), 0);
  bytes.writeUInt8(table, 4);
  bytes.writeUInt8(toTable, 7);
  return Buffer.concat([
    bytes,
    attribute(ruleAttributes.priority, uint32(priority)),
    attribute(ruleAttributes.table, uint32(table)),
  ]);
}

interface DefaultRoute {
  readonly family: AddressFamily;
  readonly table: number;
  readonly gateway: string;
  readonly linkIndex: number;
  /** Of several default routes in a table, the one with the lowest counts. */
  readonly metric?: number;
  readonly mtu?: number;
}

/** Fails with EEXIST where it is there. */
export function addDefaultRoute(route: DefaultRoute): Request {
  return defaultRoute(route, flags.create | flags.exclusive);
}

export function replaceDefaultRoute(route: DefaultRoute): Request {
  return defaultRoute(route, flags.create | flags.replace);
}

/** The gateway need not be in a subnet of the link. */
function defaultRoute(route: DefaultRoute, requestFlags: number): Request {
  const { family, table, gateway, linkIndex, metric, mtu } = route;
  const header = Buffer.alloc(routeHeaderLength);
  header.writeUInt8(numberOf(family), 0);
  header.writeUInt8(table, 4);
  header.writeUInt8(staticProtocol, 5);
  header.writeUInt8(unicast, 7);
  header.writeUInt32LE(onLink, 8);
  return {
    type: types.addRoute,
    flags: requestFlags,
    what: `set the default route by ${gateway}`,
    body: Buffer.concat([
      header,
      attribute(routeAttributes.gateway, addressBytes(gateway)),
      attribute(routeAttributes.outInterface, uint32(linkIndex)),
      attribute(routeAttributes.table, uint32(table)),
      ...(metric === undefined ? [] : [attribute(routeAttributes.priority, uint32(metric))]),
      ...(mtu === undefined
        ? []
        : [nested(routeAttributes.metrics, attribute(mtuMetric, uint32(mtu)))]),
    ]),
  };
}

/**
 * Lets packets to ::1 come in by a link whose packets were translated: what routing on localhost
 * is for IPv4. Fails with EEXIST where it is there.
 */
export function addLocalhostRoute(linkIndex: number): Request {
  const header = Buffer.alloc(routeHeaderLength);
  header.writeUInt8(families.inet6, 0);
  header.writeUInt8(128, 1);
  header.writeUInt8(localTable, 4);
  header.writeUInt8(staticProtocol, 5);
  header.writeUInt8(localType, 7);
  return {
    type: types.addRoute,
    flags: flags.create | flags.exclusive,
    what: 'add a local route to ::1',
    body: Buffer.concat([
      header,
      attribute(routeAttributes.destination, addressBytes('::1')),
      attribute(routeAttributes.outInterface, uint32(linkIndex)),
      attribute(routeAttributes.table, uint32(localTable)),
      attribute(routeAttributes.priority, uint32(behindLoopback)),
    ]),
  };
}

/** What there is of rules and default routes, each in a word: "ip rule 10", "ip6 route 200". */
export function routingFacts(netlink: Netlink): ReadonlySet<string> {
  const facts = new Set<string>();
  const familyOf = (body: Buffer) => (body[0] === families.inet6 ? 'ip6' : 'ip');
  for (const body of netlink.dump(types.getRule, Buffer.alloc(ruleHeaderLength))) {
    const found = readAttributes(body.subarray(ruleHeaderLength));
    const priority = found.get(ruleAttributes.priority)?.readUInt32LE(0) ?? 0;
    facts.add(ruleFact(familyOf(body), priority));
  }
  for (const body of netlink.dump(types.getRoute, Buffer.alloc(routeHeaderLength))) {
    const [, prefix, , , table = 0, , , type] = body;
    if (prefix === 0 && type === unicast) facts.add(routeFact(familyOf(body), table));
  }
  return facts;
}

export const ruleFact = (family: AddressFamily, priority: number) => `${family} rule ${priority}`;
export const routeFact = (family: AddressFamily, table: number) => `${family} route ${table}`;

/** Runs a request that fails with EEXIST where there is nothing to do: whether there was. */
export function isNew(netlink: Netlink, request: Request): boolean {
  try {
    netlink.run(request);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === errno.exists) return false;
    throw error;
  }
}
