/**
 * The mesh's tables. A published port of the host leads through the wire into the mesh's network,
 * where a die chooses the backend; a backend's container remembers by which node a connection came,
 * and sends the replies back there. Nobody's source address is changed on the way.
 */
import {
  concat,
  constant,
  ct,
  ctStates,
  anyOf,
  bits,
  destinationType,
  differs,
  equals,
  interfaceName,
  hasSocket,
  isElsewhere,
  isFamily,
  isIn,
  isLocal,
  isProtocol,
  lowerSegment,
  mapped,
  meta,
  native32,
  packet,
  payload,
  priorities,
  random,
  reject,
  routeSegment,
  setCtMark,
  setLinkBytes,
  setMark,
  setOriginalZone,
  shiftedLeft,
  swapped,
  translate,
  verdict,
  verdictOf,
  type NamedSet,
  type Rule,
  type Statement,
  type Table,
  type Value,
} from '../nft/index.ts';
import { DiceChains, diceName, type AddressFamily } from '../balancer/index.ts';
import { addressBytes, parseCidr } from '../netlink/wire.ts';
import { egressTable, hostLink, innerLink, meshTable, nodeMark, wire } from './names.ts';
import { diceSets, portSets } from './ports.ts';

const families = ['ip', 'ip6'] as const;
const port = concat(meta.protocol, packet.destinationPort);

const source: Readonly<Record<AddressFamily, Value>> = {
  ip: packet.ipv4Source,
  ip6: packet.ipv6Source,
};
const destination: Readonly<Record<AddressFamily, Value>> = {
  ip: packet.ipv4Destination,
  ip6: packet.ipv6Destination,
};
const loopback: Readonly<Record<AddressFamily, Statement>> = {
  ip: equals(bits(packet.ipv4Source, Buffer.from([255, 0, 0, 0])), Buffer.from([127, 0, 0, 0])),
  ip6: equals(packet.ipv6Source, addressBytes('::1')),
};

/** Of the host: ports of any of its addresses lead into the mesh, by the client's family. */
export const publishedSets: Readonly<Record<AddressFamily, NamedSet>> = {
  ip: { name: 'published', key: ['protocol', 'port'] },
  ip6: { name: 'published6', key: ['protocol', 'port'] },
};
/** Such a client cannot be answered from elsewhere, and comes to the socket that holds the port. */
const notFromLink = differs(
  bits(payload('network', 8, 2), Buffer.from([0xff, 0xc0])),
  Buffer.from([0xfe, 0x80]),
);

/**
 * `self`: what backends see of a client on localhost, whose own address nobody else can answer.
 */
export function hostTable(
  present: readonly AddressFamily[],
  self: Partial<Record<AddressFamily, string>>,
): Table {
  const lead = present.map((family) => [
    isFamily[family],
    ...(family === 'ip6' ? [notFromLink] : []),
    isIn(port, publishedSets[family].name),
    equals(destinationType, native32(isLocal)),
    translate('dnat', family, constant(addressBytes(wire[family].inner))),
  ]);
  const intoMesh = equals(meta.outputName, interfaceName(hostLink));
  return {
    ...meshTable,
    sets: Object.values(publishedSets),
    chains: [
      {
        name: 'prerouting',
        base: { type: 'nat', at: 'prerouting', priority: priorities.destinationNat },
        rules: lead,
      },
      {
        name: 'output',
        base: { type: 'nat', at: 'output', priority: priorities.destinationNat },
        rules: lead,
      },
      {
        name: 'postrouting',
        // Ahead of those who masquerade what leaves their networks: the first translation counts.
        base: { type: 'nat', at: 'postrouting', priority: priorities.sourceNat - 10 },
        rules: present.flatMap((family) => [
          [
            intoMesh,
            isFamily[family],
            loopback[family],
            translate('snat', family, constant(addressBytes(self[family] ?? wire[family].host))),
          ],
          [intoMesh, isFamily[family], translate('snat', family, source[family])],
        ]),
      },
    ],
  };
}

const comesFromHost = equals(meta.inputName, interfaceName(innerLink));
const isSyn = equals(bits(payload('transport', 13, 1), Buffer.from([2])), Buffer.from([2]));

/**
 * Looked up once, and kept in the packet's mark, which does not leave this namespace: nft cannot
 * list rules of which the key of one map comes out of another.
 */
const markService = setMark(mapped(port, portSets.services, 4));

/** Of the mesh's network on this node, without ports and dice. */
export const ingressTable: Table = {
  ...meshTable,
  sets: [
    { name: portSets.services, key: ['protocol', 'port'], data: ['number'] },
    { name: portSets.targets, key: ['protocol', 'port'], data: ['port'] },
    ...families.flatMap((family): readonly NamedSet[] => [
      { name: diceSets[family].keys, key: ['number'], data: 'verdict' },
      {
        name: diceSets[family].backends,
        key: ['number', 'number'],
        data: [family === 'ip' ? 'ipv4' : 'ipv6'],
      },
    ]),
  ],
  chains: [
    {
      name: 'prerouting',
      base: { type: 'nat', at: 'prerouting', priority: priorities.destinationNat },
      rules: [
        [comesFromHost, markService],
        ...families.map((family) => [
          comesFromHost,
          isFamily[family],
          verdictOf(meta.mark, diceSets[family].keys),
        ]),
      ],
    },
    {
      // Whom no task answers is told so, and is not remembered: a client that goes on sending from
      // its port would else be led to nobody for ever, also when there are tasks again.
      name: 'refuse',
      base: { type: 'filter', at: 'input', priority: priorities.filter },
      rules: [
        [comesFromHost, isProtocol('tcp'), anyOf(ct.state, ctStates.new), reject('tcp-reset')],
        ...(['udp', 'sctp'] as const).map((protocol) => [
          comesFromHost,
          isProtocol(protocol),
          anyOf(ct.state, ctStates.new),
          reject('port-unreachable'),
        ]),
      ],
    },
    {
      name: 'forward',
      base: { type: 'filter', at: 'forward', priority: priorities.mangle },
      // Clients do not know that the way is narrower here than any device they have.
      rules: [[isProtocol('tcp'), isSyn, lowerSegment(swapped(routeSegment, 'network'))]],
    },
  ],
};

export const ingressDice = new DiceChains(meshTable, ({ family, count }) => {
  const key = concat(meta.mark, random(count));
  const address = mapped(key, diceSets[family].backends, family === 'ip' ? 4 : 16);
  const target = concat(address, mapped(port, portSets.targets, 2));
  return { name: diceName({ family, count }), rules: [[translate('dnat', family, target, true)]] };
});

interface Backend {
  /** The container's interface on the mesh's network. */
  readonly device: string;
  /** The mesh's network. */
  readonly subnets: readonly string[];
  /** Where a program's answers come from that does not choose: those of UDP are sent so. */
  readonly ownAddress: Partial<Record<AddressFamily, string>>;
}

/** The last three bytes of the sender's MAC, and the bits that make it a node's mark. */
const senderMark = bits(
  swapped(payload('link', 8, 4), 'machine'),
  native32(~nodeMark.mask),
  native32(nodeMark.bits),
);
/** Zones are numbers of 16 bits. */
const senderZone = swapped(payload('link', 10, 2), 'machine');

const hasNodeMark = (value: Value): Statement =>
  equals(bits(value, native32(nodeMark.mask)), native32(nodeMark.bits));

/** Of a backend's container: where programs that listen on IPv4 alone are asked by IPv6. */
export const relaySet: NamedSet = { name: 'relays', key: ['protocol', 'port'], data: ['port'] };

/** Of a backend's container. */
export function backendTable({ device, subnets, ownAddress }: Backend): Table {
  const comesIn = equals(meta.inputName, interfaceName(device));
  const byNetwork = subnets.map(outside);
  // Not by the client's address: a client may be of a network that is numbered as the mesh's own.
  // Who is on the mesh's own network is answered by the MAC that it asked from, as a node is.
  const byMac = byNetwork.map(({ family }): Statement => isFamily[family]);
  const reply = Buffer.from([1]);
  return {
    ...meshTable,
    sets: [relaySet],
    chains: [
      {
        // A client may ask two nodes from the same port: their connections are kept apart, and
        // where they meet again, one gets another port.
        name: 'zones',
        base: { type: 'filter', at: 'prerouting', priority: priorities.raw },
        rules: byMac.map((isCarried) => [comesIn, isCarried, setOriginalZone(senderZone)]),
      },
      {
        name: 'marks',
        base: { type: 'filter', at: 'prerouting', priority: priorities.mangle },
        rules: [
          ...byMac.map((isCarried) => [
            comesIn,
            isCarried,
            anyOf(ct.state, ctStates.new),
            setCtMark(senderMark),
          ]),
          // A socket that accepts the connection takes the mark over, and with it the way back.
          [comesIn, hasNodeMark(ct.mark), setMark(ct.mark)],
        ],
      },
      {
        name: 'relays',
        // Ahead of the next, which is not for what is led on.
        base: { type: 'nat', at: 'prerouting', priority: priorities.destinationNat - 1 },
        rules: relayRules(comesIn, subnets),
      },
      {
        name: 'datagrams',
        base: { type: 'nat', at: 'prerouting', priority: priorities.destinationNat },
        rules: datagramRules(comesIn, byNetwork, ownAddress),
      },
      {
        name: 'replies',
        base: { type: 'route', at: 'output', priority: priorities.mangle },
        rules: [[hasNodeMark(ct.mark), equals(ct.direction, reply), setMark(ct.mark)]],
      },
      {
        // Its route is there for answers: programs that want to go anywhere else are told at once
        // that there is no way, instead of waiting for what nobody brings.
        name: 'elsewhere',
        base: { type: 'filter', at: 'output', priority: priorities.filter },
        rules: byNetwork.map(({ family, isOutside }) => [
          equals(meta.outputName, interfaceName(device)),
          isFamily[family],
          isOutside.destination,
          anyOf(ct.state, ctStates.new),
          equals(ct.direction, Buffer.from([0])),
          equals(destinationType, native32(isElsewhere)),
          reject('no-route'),
        ]),
      },
    ],
  };
}

/** What a packet that comes from elsewhere, or goes there, has no address of. */
function outside(subnet: string) {
  const { bytes, prefix } = parseCidr(subnet);
  const mask = maskOf(bytes.length, prefix);
  const family = bytes.length === 4 ? 'ip' : 'ip6';
  const base = Buffer.from(bytes.map((byte, index) => byte & (mask[index] ?? 0)));
  const isNot = (value: Value) => differs(bits(value, mask), base);
  return {
    family,
    isOutside: { source: isNot(source[family]), destination: isNot(destination[family]) },
  } as const;
}

/** `subnets`: what the container itself has of the mesh's network. */
function relayRules(comesIn: Statement, subnets: readonly string[]): readonly Rule[] {
  if (subnets.every((subnet) => !subnet.includes(':'))) return [];
  const leadsOn = [comesIn, isFamily.ip6, hasNodeMark(ct.mark)];
  const relay = concat(packet.ipv6Destination, mapped(port, relaySet.name, 2));
  return [
    [...leadsOn, hasSocket, verdict('accept')],
    [...leadsOn, translate('dnat', 'ip6', relay, true)],
  ];
}

/**
 * A server that has one socket for all addresses answers from the address that its default route
 * has. It must be asked there, or its answers belong to nothing that is known. So it is with UDP,
 * and with SCTP, of which a server chooses the address of its first answer in the same way. To a
 * client whose address might be on the mesh's network it answers from its own there.
 */
function datagramRules(
  comesIn: Statement,
  byNetwork: readonly ReturnType<typeof outside>[],
  ownAddress: Partial<Record<AddressFamily, string>>,
): readonly Rule[] {
  return byNetwork.flatMap(({ family, isOutside }) => {
    const address = ownAddress[family];
    if (address === undefined) return [];
    const own = constant(addressBytes(address));
    return (['udp', 'sctp'] as const).map((protocol) => [
      comesIn,
      isFamily[family],
      isOutside.source,
      isProtocol(protocol),
      hasNodeMark(ct.mark),
      translate('dnat', family, own),
    ]);
  });
}

/** On the backend's interface: the node's MAC is written into what goes back to it. */
export function backendEgress(device: string): Table {
  const lastThreeBytes = swapped(shiftedLeft(meta.mark, 8), 'network');
  return {
    ...egressTable,
    sets: [],
    chains: [
      {
        name: 'replies',
        base: { type: 'filter', at: 'egress', priority: priorities.filter, device },
        rules: [[hasNodeMark(meta.mark), setLinkBytes(3, 3, lastThreeBytes)]],
      },
    ],
  };
}

function maskOf(length: number, prefix: number): Buffer {
  const mask = Buffer.alloc(length);
  for (let bit = 0; bit < prefix; bit++)
    mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return mask;
}
