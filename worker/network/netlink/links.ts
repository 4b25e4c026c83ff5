/** Requests about links. Numbers are those of linux/rtnetlink.h, if_link.h and if_bridge.h. */
import { errno } from '../syscalls.ts';
import {
  addressBytes,
  addressText,
  attribute,
  cString,
  flags,
  macBytes,
  macText,
  nested,
  port,
  readAttributes,
  text,
  uint32,
  uint8,
  type Request,
} from './wire.ts';

export const linkTypes = { add: 16, remove: 17, get: 18, set: 19 } as const;

const attributes = {
  address: 1,
  name: 3,
  mtu: 4,
  peer: 5,
  master: 10,
  linkInfo: 18,
  netNsFd: 28,
  extendedMask: 29,
} as const;
const skipStatistics = 8;
const info = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const;
const vethPeer = 1;
const macvlanMode = 1;
const bridgePort = { hairpin: 4, learning: 8 } as const;
const vxlan = {
  id: 1,
  local: 4,
  learning: 7,
  ageing: 8,
  proxy: 11,
  port: 15,
  local6: 17,
  udpZeroChecksum6Tx: 19,
  udpZeroChecksum6Rx: 20,
} as const;

const isUp = 1;
const headerLength = 16;

const withPeer: ReadonlySet<string> = new Set(['veth', 'macvlan', 'ipvlan']);

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** Index of the bridge it belongs to; 0: none. */
  readonly master: number;
  /**
   * Of a veth: the index of its other end, in that one's namespace; of a macvlan or ipvlan: that of the
   * link which it is on, in that one's; else 0.
   */
  readonly peer: number;
  /** "veth", "bridge", "vxlan", …; empty for real devices. */
  readonly kind: string;
  /** Only of a vxlan device. */
  readonly vxlan?: VxlanFacts;
}

interface VxlanFacts {
  readonly vni: number;
  readonly port: number;
  readonly local: string;
}

/** A link by its index, or by its name. */
type LinkRef = number | string;

/** Without statistics, which are most of what the kernel would tell of a link. */
export function dumpLinks(): Buffer {
  return Buffer.concat([
    Buffer.alloc(headerLength),
    attribute(attributes.extendedMask, uint32(skipStatistics)),
  ]);
}

export function askForLink(which: LinkRef): Buffer {
  const all = dumpLinks();
  if (typeof which === 'string')
    return Buffer.concat([all, attribute(attributes.name, cString(which))]);
  all.writeInt32LE(which, 4);
  return all;
}

export function readLink(body: Buffer): Link {
  const found = readAttributes(body.subarray(headerLength));
  const linkInfo = readAttributes(found.get(attributes.linkInfo) ?? Buffer.alloc(0));
  const kind = text(linkInfo.get(info.kind));
  return {
    index: body.readInt32LE(4),
    name: text(found.get(attributes.name)),
    up: (body.readUInt32LE(8) & isUp) !== 0,
    mtu: found.get(attributes.mtu)?.readUInt32LE(0) ?? 0,
    mac: macText(found.get(attributes.address)),
    master: found.get(attributes.master)?.readUInt32LE(0) ?? 0,
    peer: withPeer.has(kind) ? (found.get(attributes.peer)?.readUInt32LE(0) ?? 0) : 0,
    kind,
    ...(kind === 'vxlan' ? { vxlan: readVxlan(linkInfo.get(info.data)) } : {}),
  };
}

function readVxlan(data: Buffer = Buffer.alloc(0)): VxlanFacts {
  const found = readAttributes(data);
  return {
    vni: found.get(vxlan.id)?.readUInt32LE(0) ?? 0,
    port: found.get(vxlan.port)?.readUInt16BE(0) ?? 0,
    local: addressText(found.get(vxlan.local) ?? found.get(vxlan.local6) ?? Buffer.alloc(4)),
  };
}

interface BridgeOptions {
  readonly mac?: string;
  readonly mtu?: number;
  /** It is up as soon as it is there. */
  readonly up?: boolean;
}

export function addBridge(name: string, { mac, mtu, up = false }: BridgeOptions = {}): Request {
  return {
    type: linkTypes.add,
    flags: flags.create | flags.exclusive,
    what: `add the bridge ${name}`,
    body: Buffer.concat([
      header(0, up),
      attribute(attributes.name, cString(name)),
      ...(mac === undefined ? [] : [attribute(attributes.address, macBytes(mac))]),
      ...(mtu === undefined ? [] : [attribute(attributes.mtu, uint32(mtu))]),
      nested(attributes.linkInfo, attribute(info.kind, cString('bridge'))),
    ]),
  };
}

interface VethEnd {
  readonly name: string;
  /** Index of the bridge that it joins; its end is up then. */
  readonly master?: number;
  /** The index that the link gets; absent: the kernel chooses. Both ends have one, or neither. */
  readonly index?: number;
  readonly mac?: string;
}

/** Both ends are made where they belong: the peer in the namespace `peer.netnsFd`. */
export function addVeth(
  end: VethEnd,
  peer: VethEnd & { readonly netnsFd?: number },
  mtu: number,
): Request {
  return {
    type: linkTypes.add,
    flags: flags.create | flags.exclusive,
    what: `add the link ${end.name}`,
    body: Buffer.concat([
      vethEnd(end, mtu),
      nested(
        attributes.linkInfo,
        attribute(info.kind, cString('veth')),
        nested(info.data, attribute(vethPeer, vethEnd(peer, mtu))),
      ),
    ]),
  };
}

/** As in linux/if_link.h. */
export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
export type MacvlanMode = keyof typeof macvlanModes;

interface MacvlanOptions {
  readonly name: string;
  /** Index of the link that it is on, in the namespace in which this is asked. */
  readonly parent: number;
  readonly mac: string;
  readonly mode: MacvlanMode;
  readonly mtu?: number;
  /** Where it is made. */
  readonly netnsFd: number;
  /** The index that it gets there; absent: the kernel chooses. */
  readonly index?: number;
}

/** A link with an address of its own on a link that it shares with others. */
export function addMacvlan(options: MacvlanOptions): Request {
  const { name, parent, mac, mode, mtu, netnsFd, index = 0 } = options;
  return {
    type: linkTypes.add,
    flags: flags.create | flags.exclusive,
    what: `add the macvlan ${name}`,
    body: Buffer.concat([
      header(index, false),
      attribute(attributes.name, cString(name)),
      attribute(attributes.peer, uint32(parent)),
      ...(mtu === undefined ? [] : [attribute(attributes.mtu, uint32(mtu))]),
      attribute(attributes.address, macBytes(mac)),
      attribute(attributes.netNsFd, uint32(netnsFd)),
      nested(
        attributes.linkInfo,
        attribute(info.kind, cString('macvlan')),
        nested(info.data, attribute(macvlanMode, uint32(macvlanModes[mode]))),
      ),
    ]),
  };
}

function vethEnd(end: VethEnd & { readonly netnsFd?: number }, mtu: number): Buffer {
  const { name, master, index, mac, netnsFd } = end;
  return Buffer.concat([
    header(index ?? 0, master !== undefined),
    attribute(attributes.name, cString(name)),
    attribute(attributes.mtu, uint32(mtu)),
    ...(master === undefined ? [] : [attribute(attributes.master, uint32(master))]),
    ...(mac === undefined ? [] : [attribute(attributes.address, macBytes(mac))]),
    ...(netnsFd === undefined ? [] : [attribute(attributes.netNsFd, uint32(netnsFd))]),
  ]);
}

interface VxlanOptions {
  readonly name: string;
  readonly vni: number;
  /** UDP port of VXLAN. */
  readonly port: number;
  /** This node's address on the data path; absent: the kernel chooses by the destination. */
  readonly local?: string;
  /** Whether it talks to nodes by IPv6. */
  readonly isIpv6: boolean;
  readonly mtu: number;
  /** Where the device goes; its socket stays in the namespace in which this is asked. */
  readonly netnsFd: number;
}

/** It learns nothing, and answers for the neighbours that it is told of: nothing is flooded. */
export function addVxlan(options: VxlanOptions): Request {
  const { isIpv6 } = options;
  const local = options.local ?? (isIpv6 ? '::' : '0.0.0.0');
  return {
    type: linkTypes.add,
    flags: flags.create | flags.exclusive,
    what: `add the vxlan ${options.vni}`,
    body: Buffer.concat([
      header(0, false),
      attribute(attributes.name, cString(options.name)),
      attribute(attributes.mtu, uint32(options.mtu)),
      attribute(attributes.netNsFd, uint32(options.netnsFd)),
      nested(
        attributes.linkInfo,
        attribute(info.kind, cString('vxlan')),
        nested(
          info.data,
          attribute(vxlan.id, uint32(options.vni)),
          attribute(isIpv6 ? vxlan.local6 : vxlan.local, addressBytes(local)),
          attribute(vxlan.learning, uint8(0)),
          attribute(vxlan.ageing, uint32(0)),
          attribute(vxlan.proxy, uint8(1)),
          attribute(vxlan.port, port(options.port)),
          attribute(vxlan.udpZeroChecksum6Tx, uint8(0)),
          attribute(vxlan.udpZeroChecksum6Rx, uint8(0)),
        ),
      ),
    ]),
  };
}

/** Its encrypted packets come and go in the namespace in which this is asked. */
export function addWireguard(name: string, netnsFd: number): Request {
  return {
    type: linkTypes.add,
    flags: flags.create | flags.exclusive,
    what: `add the WireGuard device ${name}`,
    body: Buffer.concat([
      header(0, false),
      attribute(attributes.name, cString(name)),
      attribute(attributes.netNsFd, uint32(netnsFd)),
      nested(attributes.linkInfo, attribute(info.kind, cString('wireguard'))),
    ]),
  };
}

export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  readonly mac?: string;
  /** Index of a bridge. */
  readonly master?: number;
  /** Only with an index: the link's new name. */
  readonly name?: string;
  /** It goes there. */
  readonly netnsFd?: number;
}

export function setLink(link: LinkRef, change: LinkChange): Request {
  const { up, mtu, mac, master, name, netnsFd } = change;
  return {
    type: linkTypes.set,
    flags: 0,
    what: `set the link ${link}`,
    body: Buffer.concat([
      header(typeof link === 'number' ? link : 0, up),
      ...named(link),
      ...(name === undefined ? [] : [attribute(attributes.name, cString(name))]),
      ...(mtu === undefined ? [] : [attribute(attributes.mtu, uint32(mtu))]),
      ...(mac === undefined ? [] : [attribute(attributes.address, macBytes(mac))]),
      ...(master === undefined ? [] : [attribute(attributes.master, uint32(master))]),
      ...(netnsFd === undefined ? [] : [attribute(attributes.netNsFd, uint32(netnsFd))]),
    ]),
  };
}

/** Whether the bridge learns from what comes in by this port. */
export function setPortLearning(link: LinkRef, learns: boolean): Request {
  return setPort(link, attribute(bridgePort.learning, uint8(learns ? 1 : 0)));
}

/**
 * What comes in by this port may go out by it again. Where bridges hand packets to netfilter
 * (br_netfilter, which Docker and others load), a container that asks for its own published port is
 * led back to itself on the bridge already.
 */
export function setPortHairpin(link: LinkRef): Request {
  return setPort(link, attribute(bridgePort.hairpin, uint8(1)));
}

function setPort(link: LinkRef, setting: Buffer): Request {
  return {
    type: linkTypes.add,
    flags: 0,
    what: `set the bridge port ${link}`,
    body: Buffer.concat([
      header(typeof link === 'number' ? link : 0, undefined),
      ...named(link),
      nested(
        attributes.linkInfo,
        attribute(info.slaveKind, cString('bridge')),
        nested(info.slaveData, setting),
      ),
    ]),
  };
}

/** One that does not exist is not an error. */
export function removeLink(link: LinkRef): Request {
  return {
    type: linkTypes.remove,
    flags: 0,
    what: `remove the link ${link}`,
    tolerated: [errno.noDevice],
    body: Buffer.concat([header(typeof link === 'number' ? link : 0, undefined), ...named(link)]),
  };
}

function named(link: LinkRef): Buffer[] {
  return typeof link === 'number' ? [] : [attribute(attributes.name, cString(link))];
}

/** `up` absent: it stays as it is. */
function header(index: number, up: boolean | undefined): Buffer {
  const bytes = Buffer.alloc(headerLength);
  bytes.writeInt32LE(index, 4);
  if (up === undefined) return bytes;
  bytes.writeUInt32LE(up ? isUp : 0, 8);
  bytes.writeUInt32LE(isUp, 12);
  return bytes;
}
