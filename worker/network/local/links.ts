/** Requests about links that only networks of one node have. Numbers are those of if_link.h. */
import { flags } from '../netlink/wire.ts';
import { linkTypes } from '../netlink/links.ts';
import { attribute, cString, macBytes, nested, uint32, type Request } from '../netlink/wire.ts';

const attributes = { address: 1, name: 3, mtu: 4, parent: 5, info: 18, netNsFd: 28 } as const;
const info = { kind: 1, data: 2 } as const;
const headerLength = 16;
const isUp = 1;

/** The part of a host's link with this VLAN tag. */
export function addVlan(name: string, parent: number, tag: number): Request {
  return add({ name, parent, up: true }, 'vlan', attribute(1, uint16(tag)));
}

/** As in linux/if_link.h. */
export const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
export const ipvlanFlags = { bridge: 0, private: 1, vepa: 2 } as const;
export interface IpvlanKind {
  readonly mode: keyof typeof ipvlanModes;
  readonly flag: keyof typeof ipvlanFlags;
}

const ipvlan = { mode: 1, flags: 2 } as const;

/** A link with addresses of its own on a link whose MAC address it shares. */
export function addIpvlan(
  link: { readonly name: string; readonly parent: number; readonly mtu: number },
  { mode, flag }: IpvlanKind,
  netnsFd: number,
): Request {
  return add(
    { ...link, netnsFd },
    'ipvlan',
    attribute(ipvlan.mode, uint16(ipvlanModes[mode])),
    attribute(ipvlan.flags, uint16(ipvlanFlags[flag])),
  );
}

/** Never made, as it is on no link: the kernel refuses it by its kind first, where it has none. */
export function askForIpvlan(): Request {
  return add({ name: 'ipvlan-asked' }, 'ipvlan');
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function add(
  link: {
    readonly name: string;
    readonly parent?: number;
    readonly mtu?: number;
    readonly mac?: string;
    readonly netnsFd?: number;
    readonly up?: boolean;
  },
  kind: string,
  ...data: readonly Buffer[]
): Request {
  const { name, parent, mtu, mac, netnsFd, up = false } = link;
  const header = Buffer.alloc(headerLength);
  header.writeUInt32LE(up ? isUp : 0, 8);
  header.writeUInt32LE(isUp, 12);
  return {
    type: linkTypes.add,
    flags: flags.create | flags.exclusive,
    what: `add the ${kind} ${name}`,
    body: Buffer.concat([
      header,
      attribute(attributes.name, cString(name)),
      ...(parent === undefined ? [] : [attribute(attributes.parent, uint32(parent))]),
      ...(mtu === undefined ? [] : [attribute(attributes.mtu, uint32(mtu))]),
      ...(mac === undefined ? [] : [attribute(attributes.address, macBytes(mac))]),
      ...(netnsFd === undefined ? [] : [attribute(attributes.netNsFd, uint32(netnsFd))]),
      nested(
        attributes.info,
        attribute(info.kind, cString(kind)),
        ...(data.length === 0 ? [] : [nested(info.data, ...data)]),
      ),
    ]),
  };
}
