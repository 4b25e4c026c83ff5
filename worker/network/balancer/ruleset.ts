/**
 * The table that balances in a client's namespace. A VIP leads to the chain for its number of
 * backends, which throws a die and looks the backend up: the work is the same however many services
 * there are, and a change of one service touches elements of maps only, never a rule.
 */
import { addressBytes } from '../netlink/wire.ts';
import {
  be16,
  concat,
  constant,
  equals,
  isFamily,
  isIn,
  isProtocol,
  mapped,
  packet,
  priorities,
  random,
  reject,
  translate,
  verdictOf,
  type NamedSet,
  type Rule,
  type Table,
  type TableName,
  type Value,
} from '../nft/index.ts';
import {
  addressFamilies,
  DiceChains,
  diceName,
  type AddressFamily,
  type DiceSets,
} from './dice.ts';
import { askedPort, listenPort, resolverAddress } from '../resolver/ports.ts';

export const balancerTable: TableName = { family: 'inet', name: 'ts_swarm' };

export const setsOf: Readonly<Record<AddressFamily, DiceSets & { readonly idle: string }>> = {
  ip: { keys: 'vips4', backends: 'backends4', idle: 'idle4' },
  ip6: { keys: 'vips6', backends: 'backends6', idle: 'idle6' },
};

const destination: Readonly<Record<AddressFamily, Value>> = {
  ip: packet.ipv4Destination,
  ip6: packet.ipv6Destination,
};

/** The chains that choose one of the backends. */
export const diceChains = new DiceChains(balancerTable, ({ family, count }) => {
  const key = concat(destination[family], random(count));
  const backend = mapped(key, setsOf[family].backends, destination[family].length);
  return { name: diceName({ family, count }), rules: [[translate('dnat', family, backend)]] };
});

/** Without VIPs and dice. The same for every container. */
export const emptyTable: Table = {
  ...balancerTable,
  sets: addressFamilies.flatMap(familySets),
  chains: [
    {
      name: 'balance',
      base: { type: 'nat', at: 'output', priority: priorities.destinationNat },
      rules: [
        ...resolverRules(),
        ...addressFamilies.map((family) => [
          isFamily[family],
          verdictOf(destination[family], setsOf[family].keys),
        ]),
      ],
    },
    {
      name: 'refuse',
      base: { type: 'filter', at: 'output', priority: priorities.filter },
      rules: addressFamilies.flatMap(refuseRules),
    },
  ],
};

function familySets(family: AddressFamily): readonly NamedSet[] {
  const address = family === 'ip' ? 'ipv4' : 'ipv6';
  const { keys, backends, idle } = setsOf[family];
  return [
    { name: keys, key: [address], data: 'verdict' },
    { name: backends, key: [address, 'number'], data: [address] },
    { name: idle, key: [address] },
  ];
}

/** Port 53 of the container stays free for a name server of its own. */
function resolverRules(): readonly Rule[] {
  const listener = concat(constant(addressBytes(resolverAddress)), constant(be16(listenPort)));
  return (['udp', 'tcp'] as const).map((protocol) => [
    isFamily.ip,
    equals(packet.ipv4Destination, addressBytes(resolverAddress)),
    isProtocol(protocol),
    equals(packet.destinationPort, be16(askedPort)),
    translate('dnat', 'ip', listener, true),
  ]);
}

/** A client of a service without backends is told at once. */
function refuseRules(family: AddressFamily): readonly Rule[] {
  const isIdle = [isFamily[family], isIn(destination[family], setsOf[family].idle)];
  return [
    [...isIdle, isProtocol('tcp'), reject('tcp-reset')],
    [...isIdle, reject('port-unreachable')],
  ];
}
