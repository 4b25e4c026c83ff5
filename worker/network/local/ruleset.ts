/**
 * What the host's netfilter does for bridge networks of this node: containers leave by the host's
 * address, networks are apart from each other, and internal ones from everything.
 */
import {
  addTable,
  anyOf,
  bits,
  ct,
  ctStates,
  ctStatus,
  differs,
  equals,
  interfaceName,
  isFamily,
  masquerade,
  meta,
  packet,
  priorities,
  removeTable,
  verdict,
  type Rule,
  type Statement,
  type Table,
  type TableName,
} from '../nft/index.ts';
import { addressBytes, parseCidr, type Request } from '../netlink/wire.ts';

export interface BridgeRules {
  readonly link: string;
  readonly subnets: readonly string[];
  readonly isInternal: boolean;
  readonly isMasqueraded: boolean;
}

const tableName: TableName = { family: 'inet', name: 'ts_swarm_local' };
const loopback = '127.0.0.0/8';

/** `others`: further bridges that these networks are apart from. */
export function localTable(bridges: readonly BridgeRules[], others: readonly string[]): Table {
  const links = [...bridges.map(({ link }) => link), ...others];
  return {
    ...tableName,
    sets: [],
    chains: [
      {
        name: 'translate',
        base: { type: 'nat', at: 'postrouting', priority: priorities.sourceNat },
        rules: bridges.flatMap(translation),
      },
      {
        name: 'separate',
        base: { type: 'filter', at: 'forward', priority: priorities.filter },
        rules: [
          ...bridges.filter(({ isInternal }) => isInternal).flatMap(confinement),
          [anyOf(ct.state, ctStates.established | ctStates.related), verdict('accept')],
          // Published ports are there for everybody.
          [anyOf(ct.status, ctStatus.destinationTranslated), verdict('accept')],
          ...links.map((link) => [comesFrom(link), goesElsewhere(link), verdict('goto', 'leave')]),
        ],
      },
      { name: 'leave', rules: links.map((link) => [goesTo(link), verdict('drop')]) },
    ],
  };
}

/** In one batch: no packet meets a table that is half there. */
export function replaceTable(table: Table): readonly Request[] {
  return [...removeTable(tableName), ...addTable(table)];
}

export function dropTable(): readonly Request[] {
  return removeTable(tableName);
}

function translation({ link, subnets, isInternal, isMasqueraded }: BridgeRules): readonly Rule[] {
  if (isInternal) return [];
  const own = subnets.flatMap((subnet) => {
    const isOwn = comesOf(subnet);
    const hairpin = [
      ...isOwn,
      goesTo(link),
      anyOf(ct.status, ctStatus.destinationTranslated),
      masquerade,
    ];
    return isMasqueraded ? [[...isOwn, goesElsewhere(link), masquerade], hairpin] : [hairpin];
  });
  // What comes to a published port from this host itself.
  return [...own, [...comesOf(loopback), goesTo(link), masquerade]];
}

function confinement({ link }: BridgeRules): readonly Rule[] {
  return [
    [comesFrom(link), goesElsewhere(link), verdict('drop')],
    [goesTo(link), differs(meta.inputName, interfaceName(link)), verdict('drop')],
  ];
}

function comesFrom(link: string): Statement {
  return equals(meta.inputName, interfaceName(link));
}

function goesTo(link: string): Statement {
  return equals(meta.outputName, interfaceName(link));
}

function goesElsewhere(link: string): Statement {
  return differs(meta.outputName, interfaceName(link));
}

function comesOf(subnet: string): readonly Statement[] {
  const { address, bytes, prefix } = parseCidr(subnet);
  const isIpv4 = bytes.length === 4;
  const source = isIpv4 ? packet.ipv4Source : packet.ipv6Source;
  return [
    isIpv4 ? isFamily.ip : isFamily.ip6,
    equals(bits(source, maskOf(bytes.length, prefix)), addressBytes(address)),
  ];
}

function maskOf(length: number, prefix: number): Buffer {
  const mask = Buffer.alloc(length);
  for (let bit = 0; bit < prefix; bit++)
    mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit % 8));
  return mask;
}
