/**
 * What netfilter does with published ports of this host: a table for each family of addresses, with
 * maps from a port, or from an address and a port, to a container. Pure.
 */
import { addressBytes, parseCidr, type Request } from '../netlink/wire.ts';
import {
  anyOf,
  be16,
  bits,
  concat,
  ct,
  ctStatus,
  destinationType,
  differs,
  equals,
  interfaceName,
  isLocal,
  isProtocol,
  mapped,
  masquerade,
  meta,
  native32,
  packet,
  priorities,
  translate,
  verdict,
  type addElements,
  type Chain,
  type DataType,
  type Rule,
  type SetElement,
  type Statement,
  type Table,
  type TableName,
  type Value,
} from '../nft/index.ts';

const protocols = ['tcp', 'udp', 'sctp'] as const;

/** A port of the host and where it leads: addresses of one family, without prefixes. */
export interface PortLead {
  readonly protocol: (typeof protocols)[number];
  /** "0.0.0.0" or "::" for every address of the host. */
  readonly hostIp: string;
  readonly hostPort: number;
  readonly address: string;
  readonly containerPort: number;
}

/** The bridge that containers leave by under the host's address. */
export interface WayOut {
  readonly bridge: string;
  /** Of IPv4. */
  readonly subnet: string;
}

export interface Family {
  readonly table: TableName & { readonly family: 'ip' | 'ip6' };
  readonly type: DataType;
  /** Of an address and a port, each in registers of its own. */
  readonly targetBytes: number;
  readonly source: Value;
  readonly destination: Value;
  /** The host itself. */
  readonly loopback: string;
}

const name = 'ts_swarm';
export const ipv4: Family = {
  table: { family: 'ip', name },
  type: 'ipv4',
  targetBytes: 8,
  source: packet.ipv4Source,
  destination: packet.ipv4Destination,
  loopback: '127.0.0.0/8',
};
export const ipv6: Family = {
  table: { family: 'ip6', name },
  type: 'ipv6',
  targetBytes: 20,
  source: packet.ipv6Source,
  destination: packet.ipv6Destination,
  loopback: '::1/128',
};

/** Former daemons kept the ports of standalone containers apart; those would lead on. */
export function formerTable({ table }: Family): TableName {
  return { ...table, name: 'ts_swarm_standalone' };
}

export function tableFor(family: Family, wayOut: WayOut | undefined): Table {
  const { table, type, targetBytes, destination } = family;
  const lead = (key: Value, map: string): Statement =>
    translate('dnat', table.family, mapped(key, map, targetBytes), true);
  const toContainers = protocols.flatMap((protocol) => [
    [
      isProtocol(protocol),
      lead(concat(destination, packet.destinationPort), setsOf(protocol).ofAddress),
    ],
    [
      equals(destinationType, native32(isLocal)),
      isProtocol(protocol),
      lead(packet.destinationPort, setsOf(protocol).anywhere),
    ],
  ]);
  // No rule can lead elsewhere what comes from ::1: it is carried by the socket that is held.
  const notToSelf = table.family === 'ip6' ? [[isLoopback(family), verdict('return')]] : [];
  return {
    ...table,
    sets: protocols.flatMap((protocol) => [
      { name: setsOf(protocol).anywhere, key: ['port'], data: [type, 'port'] },
      { name: setsOf(protocol).ofAddress, key: [type, 'port'], data: [type, 'port'] },
    ]),
    chains: [
      {
        // Nobody reaches from outside what is published for the host itself.
        name: 'raw',
        base: { type: 'filter', at: 'prerouting', priority: priorities.raw },
        rules: [
          [differs(meta.inputName, interfaceName('lo')), isLoopback(family), verdict('drop')],
        ],
      },
      translation('prerouting', toContainers),
      translation('output', [...notToSelf, ...toContainers]),
      {
        name: 'postrouting',
        base: { type: 'nat', at: 'postrouting', priority: priorities.sourceNat },
        rules: [
          ...(table.family === 'ip' && wayOut !== undefined ? leaving(family, wayOut) : []),
          [isOf(family.loopback, family.source), isTranslated, masquerade],
        ],
      },
    ],
  };
}

const isTranslated = anyOf(ct.status, ctStatus.destinationTranslated);

/** A container that asks a port of the host is answered by the host, also where it asks itself. */
function leaving({ source }: Family, { bridge, subnet }: WayOut): readonly Rule[] {
  const isBridge = interfaceName(bridge);
  return [
    [isOf(subnet, source), differs(meta.outputName, isBridge), masquerade],
    [isOf(subnet, source), equals(meta.outputName, isBridge), isTranslated, masquerade],
  ];
}

function translation(at: 'prerouting' | 'output', rules: Chain['rules']): Chain {
  return { name: at, base: { type: 'nat', at, priority: priorities.destinationNat }, rules };
}

function isLoopback({ loopback, destination }: Family): Statement {
  return isOf(loopback, destination);
}

/** Whether the address is of the network, "10.0.0.0/8". */
function isOf(cidr: string, address: Value): Statement {
  const { bytes, prefix } = parseCidr(cidr);
  if (prefix === bytes.length * 8) return equals(address, bytes);
  const mask = Buffer.alloc(bytes.length);
  for (let bit = 0; bit < prefix; bit++)
    mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return equals(bits(address, mask), bytes);
}

export function elementRequests(
  { table }: Family,
  leads: Iterable<PortLead>,
  make: typeof addElements,
): readonly Request[] {
  return [...elementsOf(table, leads)].flatMap(([set, elements]) => make(table, set, elements));
}

/** Of this family's table, by the names of its maps. */
export function elementsOf(
  { family }: Family['table'],
  leads: Iterable<PortLead>,
): ReadonlyMap<string, readonly SetElement[]> {
  const own = [...leads].filter(({ address }) => address.includes(':') === (family === 'ip6'));
  const groups = Map.groupBy(own, ({ protocol, hostIp }) => {
    const { anywhere, ofAddress } = setsOf(protocol);
    return isAnywhere(hostIp) ? anywhere : ofAddress;
  });
  return new Map(
    [...groups].map(([set, members]) => [
      set,
      members.map(({ hostIp, hostPort, address, containerPort }) => ({
        key: isAnywhere(hostIp) ? be16(hostPort) : place(hostIp, hostPort),
        data: place(address, containerPort),
      })),
    ]),
  );
}

/** Each part in whole registers. */
function place(address: string, port: number): Buffer {
  return Buffer.concat([addressBytes(address), be16(port), Buffer.alloc(2)]);
}

function isAnywhere(hostIp: string): boolean {
  return hostIp === '0.0.0.0' || hostIp === '::';
}

function setsOf(protocol: PortLead['protocol']) {
  return { anywhere: `${protocol}_ports`, ofAddress: `${protocol}_places` } as const;
}
