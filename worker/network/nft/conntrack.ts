/**
 * What connection tracking remembers of a namespace, and how it is made to forget. The kernel keeps
 * the connections of all namespaces in one table, so that each walk through it has its price.
 */
import { errno, SyscallError } from '../syscalls.ts';
import {
  addressBytes,
  addressText,
  attribute,
  canonicalAddress,
  families,
  familyOf,
  nested,
  readAttributes,
  type Request,
} from '../netlink/wire.ts';
import { be16, be32, ctStatus, native32, protocolNumbers } from './expressions.ts';
import type { NetfilterSocket } from './socket.ts';

const subsystem = 1 << 8;
const types = { get: subsystem | 1, remove: subsystem | 2, getStats: subsystem | 5 } as const;
const attributes = {
  original: 1,
  reply: 2,
  status: 3,
  id: 12,
  filter: 25,
  statusMask: 26,
} as const;
const tupleAttributes = { address: 1, protocol: 2 } as const;
const addressAttributes = {
  source: { ip: 1, ip6: 3 },
  destination: { ip: 2, ip6: 4 },
} as const;
const protocolAttributes = { number: 1, destinationPort: 3 } as const;
const filterAttributes = { original: 1, reply: 2 } as const;
/** Which parts of a tuple a filter looks at. */
const parts = { source: 1, destination: 2, protocol: 8, destinationPort: 32 } as const;
const statsEntries = 1;
const seenReply = 2;
/** With more servers at once, reading what is there is cheaper than a walk for each. */
const walksMax = 4;

/** Which connections are to be forgotten: all of what is given must hold. */
export interface Connections {
  /** Where the client sent its packets, before they were translated. */
  readonly asked?: { readonly address?: string; readonly port?: number };
  /** Who answers, whatever the client thinks. */
  readonly server?: string;
  readonly family: 'ip' | 'ip6';
  readonly protocol?: keyof typeof protocolNumbers;
  /** Only where nobody has ever answered. */
  readonly unanswered?: boolean;
}

/**
 * `closing`: it takes no new work, and ends what it has begun; datagrams, which have no end, are to
 * go elsewhere. `closed`: what it has not answered by now it never will. `gone`: nobody is there
 * any more, so that clients are better told at once.
 */
export type ServerState = 'closing' | 'closed' | 'gone';

/** How many connections the namespace of the socket has. */
function connectionCount(socket: NetfilterSocket): number {
  const request = { type: types.getStats, flags: 0, body: header(), what: 'count connections' };
  return readAttributes(socket.get(request).subarray(4)).get(statsEntries)?.readUInt32BE(0) ?? 0;
}

/** The next packet of such a connection is looked at as if it were the first. */
export function forget(socket: NetfilterSocket, connections: Connections): void {
  if (connections.family === 'ip6' && hasAddress(connections)) {
    forgetByIpv6(socket, connections);
    return;
  }
  const body = Buffer.concat([header(connections.family), ...filterOf(connections)]);
  try {
    socket.run({ type: types.remove, flags: 0, what: 'forget connections', body, tolerated });
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    // Kernels before 6.12 forget one connection at a time only.
    for (const found of dump(socket, body)) forgetOne(socket, found);
  }
}

/**
 * The kernel's filter takes an address of IPv6 the wrong way round: it forgets every connection but
 * those that were meant (`ipv6_addr_cmp` is 0 where addresses are the same). It is asked for all
 * that the rest of the filter leaves, and the addresses are compared here.
 */
function forgetByIpv6(socket: NetfilterSocket, connections: Connections): void {
  const { asked, server, family, protocol, unanswered } = connections;
  const body = Buffer.concat([
    header(family),
    ...filterOf({
      family,
      ...(asked?.port === undefined ? {} : { asked: { port: asked.port } }),
      ...(protocol === undefined ? {} : { protocol }),
      ...(unanswered === undefined ? {} : { unanswered }),
    }),
  ]);
  const isSame = (address: string | undefined, seen: string) =>
    address === undefined || canonicalAddress(address) === seen;
  for (const found of dump(socket, body)) {
    const isMeant = isSame(server, found.server) && isSame(asked?.address, found.asked);
    if (isMeant) forgetOne(socket, found);
  }
}

function hasAddress({ asked, server }: Connections): boolean {
  return server !== undefined || asked?.address !== undefined;
}

/** Connections to these servers that must not wait for them any longer. */
export function forgetServers(
  socket: NetfilterSocket,
  servers: ReadonlyMap<string, ServerState>,
): void {
  if (connectionCount(socket) === 0) return;
  if (servers.size * 2 > walksMax) {
    forgetAmong(socket, servers);
    return;
  }
  for (const [server, state] of servers) {
    const family = familyOf(server) === families.inet6 ? 'ip6' : 'ip';
    if (state === 'gone') forget(socket, { server, family });
    else forget(socket, { server, family, protocol: 'udp' });
    // An opening that nobody has answered is tried again by its client, with somebody else.
    if (state === 'closed') forget(socket, { server, family, unanswered: true });
  }
}

/** Reads all translated connections once. */
function forgetAmong(socket: NetfilterSocket, servers: ReadonlyMap<string, ServerState>): void {
  const { destinationTranslated } = ctStatus;
  const body = Buffer.concat([
    header(),
    attribute(attributes.status, be32(destinationTranslated)),
    attribute(attributes.statusMask, be32(destinationTranslated)),
  ]);
  for (const found of dump(socket, body)) {
    const state = servers.get(found.server);
    if (state === undefined) continue;
    const isAnswered = (found.status & seenReply) !== 0;
    const isToEnd =
      state === 'gone' ||
      found.protocol === protocolNumbers.udp ||
      (state === 'closed' && !isAnswered);
    if (isToEnd) forgetOne(socket, found);
  }
}

interface Found {
  readonly family: number;
  readonly original: Buffer;
  readonly id: Buffer;
  /** Where the client sent its packets. */
  readonly asked: string;
  readonly server: string;
  readonly protocol: number;
  readonly status: number;
}

const tolerated = [errno.notFound];

function dump(socket: NetfilterSocket, body: Buffer): readonly Found[] {
  const request: Request = { type: types.get, flags: 0, what: 'read connections', body };
  return socket.dump(request).flatMap((answer) => {
    const has = readAttributes(answer.subarray(4));
    const original = has.get(attributes.original);
    const reply = has.get(attributes.reply);
    const id = has.get(attributes.id);
    if (original === undefined || reply === undefined || id === undefined) return [];
    return [
      {
        family: answer[0] ?? 0,
        original,
        id,
        asked: addressIn(original, 'destination'),
        server: addressIn(reply, 'source'),
        protocol: protocolOf(original),
        status: has.get(attributes.status)?.readUInt32BE(0) ?? 0,
      },
    ];
  });
}

function addressIn(tuple: Buffer, which: keyof typeof addressAttributes): string {
  const address = readAttributes(tuple).get(tupleAttributes.address);
  const has = address === undefined ? undefined : readAttributes(address);
  const { ip, ip6 } = addressAttributes[which];
  const bytes = has?.get(ip) ?? has?.get(ip6);
  return bytes === undefined ? '' : addressText(bytes);
}

function protocolOf(tuple: Buffer): number {
  const protocol = readAttributes(tuple).get(tupleAttributes.protocol);
  if (protocol === undefined) return 0;
  return readAttributes(protocol).get(protocolAttributes.number)?.[0] ?? 0;
}

/** With its id, so that another one that has just begun with the same addresses stays. */
function forgetOne(socket: NetfilterSocket, { family, original, id }: Found): void {
  const body = Buffer.concat([
    Buffer.from([family, 0, 0, 0]),
    nested(attributes.original, original),
    attribute(attributes.id, id),
  ]);
  socket.run({ type: types.remove, flags: 0, what: 'forget a connection', body, tolerated });
}

function isUnsupported(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof SyscallError)) return false;
  return cause.errno === errno.notSupported || cause.errno === errno.invalid;
}

function filterOf({ asked, server, family, protocol, unanswered }: Connections): readonly Buffer[] {
  const number = protocol === undefined ? undefined : protocolNumbers[protocol];
  const withProtocol = number === undefined ? 0 : parts.protocol;
  const original =
    (asked?.address === undefined ? 0 : parts.destination) |
    (asked?.port === undefined ? 0 : parts.destinationPort) |
    (asked === undefined ? 0 : withProtocol);
  const reply =
    (server === undefined ? 0 : parts.source) | (asked === undefined ? withProtocol : 0);
  const addressPart = (type: number, address: string | undefined) =>
    address === undefined ? [] : [nested(1, attribute(type, addressBytes(address)))];
  const protocolPart = (port: number | undefined) =>
    number === undefined ? [] : [nested(tupleAttributes.protocol, ...ported(number, port))];
  const { source, destination } = addressAttributes;
  return [
    ...(asked === undefined
      ? []
      : [
          nested(
            attributes.original,
            ...addressPart(destination[family], asked.address),
            ...protocolPart(asked.port),
          ),
        ]),
    ...(reply === 0
      ? []
      : [
          nested(
            attributes.reply,
            ...addressPart(source[family], server),
            ...protocolPart(undefined),
          ),
        ]),
    nested(
      attributes.filter,
      attribute(filterAttributes.original, native32(original)),
      attribute(filterAttributes.reply, native32(reply)),
    ),
    ...(unanswered === true
      ? [attribute(attributes.status, be32(0)), attribute(attributes.statusMask, be32(seenReply))]
      : []),
  ];
}

function ported(number: number, port: number | undefined): readonly Buffer[] {
  return [
    attribute(protocolAttributes.number, Buffer.from([number])),
    ...(port === undefined ? [] : [attribute(protocolAttributes.destinationPort, be16(port))]),
  ];
}

/** With a version, the kernel heeds the family also where it removes. */
function header(family?: 'ip' | 'ip6'): Buffer {
  if (family === undefined) return Buffer.alloc(4);
  return Buffer.from([family === 'ip' ? families.inet : families.inet6, 1, 0, 0]);
}
