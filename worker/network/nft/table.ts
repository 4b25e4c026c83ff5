/** A table as it is written down, and the requests that make one of it. */
import { assert } from '../../../lib/assert.ts';
import { attribute, cString, flags, nested, type Request } from '../netlink/wire.ts';
import { be32, type Statement } from './expressions.ts';
import {
  append,
  chainAttributes,
  dataTypes,
  families,
  hookAttributes,
  hooks,
  nftTypes,
  policyAccept,
  ruleAttributes,
  setAttributes,
  setFlags,
  tableAttributes,
  verdictType,
  type DataType,
  type Family,
  type Hook,
} from './numbers.ts';

export type Rule = readonly Statement[];

export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route';
  readonly at: Hook;
  readonly priority: number;
  /** Of a chain in a netdev table. */
  readonly device?: string;
}

export interface Chain {
  readonly name: string;
  /** Absent: packets come here only from other chains. */
  readonly base?: BaseChain;
  readonly rules: readonly Rule[];
}

/** A set, or with `data` a map. */
export interface NamedSet {
  readonly name: string;
  readonly key: readonly DataType[];
  readonly data?: readonly DataType[] | 'verdict';
}

export interface TableName {
  readonly family: Family;
  readonly name: string;
}

export interface Table extends TableName {
  readonly sets: readonly NamedSet[];
  readonly chains: readonly Chain[];
}

/** Netfilter's own names for when a hook's chains have their turn. */
export const priorities = {
  raw: -300,
  mangle: -150,
  destinationNat: -100,
  filter: 0,
  sourceNat: 100,
} as const;

/** Makes the table with its sets and chains, all empty of elements. */
export function addTable(table: Table): readonly Request[] {
  return [
    request(table, nftTypes.addTable, flags.create, `add the table ${table.name}`, [
      attribute(tableAttributes.name, cString(table.name)),
    ]),
    ...table.sets.map((set, index) => addSet(table, set, index + 1)),
    // Rules may name any chain of the table, so all chains come before the first rule.
    ...table.chains.map((chain) => chainRequest(table, chain)),
    ...table.chains.flatMap((chain) => rulesOf(table, chain)),
  ];
}

/** Takes the table away with all that is in it; one that is not there is not an error. */
export function removeTable(table: TableName): readonly Request[] {
  const name = attribute(tableAttributes.name, cString(table.name));
  return [
    request(table, nftTypes.addTable, flags.create, `add the table ${table.name}`, [name]),
    request(table, nftTypes.removeTable, 0, `remove the table ${table.name}`, [name]),
  ];
}

export function addChain(table: TableName, chain: Chain): readonly Request[] {
  return [chainRequest(table, chain), ...rulesOf(table, chain)];
}

function chainRequest(table: TableName, chain: Chain): Request {
  return request(table, nftTypes.addChain, flags.create, `add the chain ${chain.name}`, [
    attribute(chainAttributes.table, cString(table.name)),
    attribute(chainAttributes.name, cString(chain.name)),
    ...(chain.base === undefined ? [] : baseAttributes(table, chain.base)),
  ]);
}

function baseAttributes(table: TableName, base: BaseChain): readonly Buffer[] {
  const numbers: Partial<Record<Hook, number>> =
    table.family === 'netdev' ? hooks.netdev : hooks.inet;
  const number = numbers[base.at];
  assert(number !== undefined, `a ${table.family} table has the hook ${base.at}`);
  return [
    nested(
      chainAttributes.hook,
      attribute(hookAttributes.number, be32(number)),
      attribute(hookAttributes.priority, be32(base.priority)),
      ...(base.device === undefined
        ? []
        : [attribute(hookAttributes.device, cString(base.device))]),
    ),
    attribute(chainAttributes.policy, be32(policyAccept)),
    attribute(chainAttributes.type, cString(base.type)),
  ];
}

function rulesOf(table: TableName, chain: Chain): readonly Request[] {
  return chain.rules.map((rule, index) =>
    request(
      table,
      nftTypes.addRule,
      flags.create | append,
      `add the rule ${index + 1} of the chain ${chain.name}`,
      [
        attribute(ruleAttributes.table, cString(table.name)),
        attribute(ruleAttributes.chain, cString(chain.name)),
        nested(ruleAttributes.expressions, ...rule.flat()),
      ],
    ),
  );
}

/** `id` names the set within the batch that makes it. */
function addSet(table: TableName, set: NamedSet, id: number): Request {
  const { data } = set;
  return request(table, nftTypes.addSet, flags.create, `add the set ${set.name}`, [
    attribute(setAttributes.table, cString(table.name)),
    attribute(setAttributes.name, cString(set.name)),
    ...(data === undefined ? [] : [attribute(setAttributes.flags, be32(setFlags.map))]),
    attribute(setAttributes.keyType, be32(typeNumber(set.key))),
    attribute(setAttributes.keyLength, be32(typeLength(set.key))),
    ...(data === undefined ? [] : dataOf(data)),
    attribute(setAttributes.id, be32(id)),
  ]);
}

function dataOf(data: readonly DataType[] | 'verdict'): readonly Buffer[] {
  if (data === 'verdict') return [attribute(setAttributes.dataType, be32(verdictType))];
  return [
    attribute(setAttributes.dataType, be32(typeNumber(data))),
    attribute(setAttributes.dataLength, be32(typeLength(data))),
  ];
}

/** The tool nft packs the types of several parts into one number, six bits each. */
function typeNumber(types: readonly DataType[]): number {
  return types.reduce((sum, type) => (sum << 6) | dataTypes[type].number, 0);
}

function typeLength(types: readonly DataType[]): number {
  const [only] = types;
  if (types.length === 1 && only !== undefined) return dataTypes[only].length;
  return types.reduce((sum, type) => sum + ((dataTypes[type].length + 3) & ~3), 0);
}

export function request(
  { family }: { readonly family: Family | 'unspecified' },
  type: number,
  requestFlags: number,
  what: string,
  attributes: readonly Buffer[],
): Request {
  const header = Buffer.from([families[family], 0, 0, 0]);
  return { type, flags: requestFlags, what, body: Buffer.concat([header, ...attributes]) };
}
