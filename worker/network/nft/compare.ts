/**
 * Whether a table in the kernel is as it was written down. The kernel gives back the attributes
 * that it was sent, among others, so that what was sent is looked for in what is there.
 */
import { attribute, cString, readAttributes, type Request } from '../netlink/wire.ts';
import {
  chainAttributes,
  dataAttributes,
  elementAttributes,
  elementListAttributes,
  nftTypes,
  ruleAttributes,
  setAttributes,
  verdictAttributes,
} from './numbers.ts';
import type { SetElement } from './elements.ts';
import type { NetfilterSocket } from './socket.ts';
import { addTable, request, type Table, type TableName } from './table.ts';
import { errno } from '../syscalls.ts';

const nestedFlag = 0x8000;

/** What differs first, in a few words; undefined where nothing does. */
export function difference(
  socket: NetfilterSocket,
  table: Table,
  elements: ReadonlyMap<string, Iterable<SetElement>>,
): string | undefined {
  return (
    structureDifference(socket, table) ??
    firstOf(table.sets, ({ name }) => elementsDiffer(socket, table, name, elements.get(name) ?? []))
  );
}

/** The same, whatever its sets have in them. */
export function structureDifference(socket: NetfilterSocket, table: Table): string | undefined {
  const wanted = addTable(table);
  const bodies = (type: number) =>
    wanted.filter((one) => one.type === type).map(({ body }) => body.subarray(4));
  return (
    chainsDiffer(socket, table, bodies(nftTypes.addChain)) ??
    rulesDiffer(socket, table, bodies(nftTypes.addRule)) ??
    setsDiffer(socket, table, bodies(nftTypes.addSet))
  );
}

function chainsDiffer(
  socket: NetfilterSocket,
  table: TableName,
  wanted: readonly Buffer[],
): string | undefined {
  const found = list(socket, table, nftTypes.getChain, []).filter(
    (body) => text(body, chainAttributes.table) === table.name,
  );
  const byName = new Map(found.map((body) => [text(body, chainAttributes.name), body]));
  return (
    firstOf(wanted, (body) => {
      const name = text(body, chainAttributes.name);
      const there = byName.get(name);
      if (there === undefined) return `the chain ${name} is missing`;
      return covers(there, body) ? undefined : `the chain ${name} is another`;
    }) ?? moreThan(found, wanted, 'chains')
  );
}

function rulesDiffer(
  socket: NetfilterSocket,
  table: TableName,
  wanted: readonly Buffer[],
): string | undefined {
  const inTable = [attribute(ruleAttributes.table, cString(table.name))];
  const found = list(socket, table, nftTypes.getRule, inTable);
  const present = byChain(found);
  for (const [chain, rules] of byChain(wanted)) {
    const there = present.get(chain) ?? [];
    if (there.length !== rules.length) return `the chain ${chain} has ${there.length} rules`;
    const wrong = rules.findIndex((rule, index) => !covers(there[index]!, rule));
    if (wrong >= 0) return `the rule ${wrong + 1} of the chain ${chain} is another`;
  }
  return moreThan(found, wanted, 'rules');
}

function byChain(rules: readonly Buffer[]): ReadonlyMap<string, readonly Buffer[]> {
  return Map.groupBy(rules, (body) => text(body, ruleAttributes.chain));
}

function setsDiffer(
  socket: NetfilterSocket,
  table: TableName,
  wanted: readonly Buffer[],
): string | undefined {
  const inTable = [attribute(setAttributes.table, cString(table.name))];
  const found = list(socket, table, nftTypes.getSet, inTable);
  const byName = new Map(found.map((body) => [text(body, setAttributes.name), body]));
  return firstOf(wanted, (body) => {
    const name = text(body, setAttributes.name);
    const there = byName.get(name);
    if (there === undefined) return `the set ${name} is missing`;
    return covers(there, body, setAttributes.id) ? undefined : `the set ${name} is another`;
  });
}

function elementsDiffer(
  socket: NetfilterSocket,
  table: TableName,
  set: string,
  wanted: Iterable<SetElement>,
): string | undefined {
  const missing = new Map<string, string>();
  for (const { key, data, goTo } of wanted) {
    missing.set(key.toString('hex'), goTo ?? data?.toString('hex') ?? '');
  }
  const count = missing.size;
  const messages = list(socket, table, nftTypes.getElements, [
    attribute(elementListAttributes.table, cString(table.name)),
    attribute(elementListAttributes.set, cString(set)),
  ]);
  let found = 0;
  for (const body of messages) {
    const members = readAttributes(body).get(elementListAttributes.elements);
    for (const [, member] of members === undefined ? [] : each(members)) {
      found++;
      const { key, data } = readElement(member);
      if (missing.get(key) !== data) return `${set} has an element that it should not have`;
      missing.delete(key);
    }
  }
  return missing.size === 0 ? undefined : `${set} has ${found} of ${count} elements`;
}

function readElement(member: Buffer): { key: string; data: string } {
  const parts = readAttributes(member);
  const data = parts.get(elementAttributes.data);
  return { key: value(parts.get(elementAttributes.key)), data: value(data) };
}

/** Bytes as hex digits, or the chain that a verdict leads to. */
function value(data: Buffer | undefined): string {
  if (data === undefined) return '';
  const parts = readAttributes(data);
  const verdict = parts.get(dataAttributes.verdict);
  if (verdict === undefined) return parts.get(dataAttributes.value)?.toString('hex') ?? '';
  return text(verdict, verdictAttributes.chain);
}

function list(
  socket: NetfilterSocket,
  table: TableName,
  type: number,
  attributes: readonly Buffer[],
): readonly Buffer[] {
  const asked: Request = {
    ...request(table, type, 0, `read the table ${table.name}`, attributes),
    tolerated: [errno.notFound],
  };
  return socket.dump(asked).map((body) => body.subarray(4));
}

/** Every attribute of `sent` is there, the n-th of a kind as the n-th of that kind. */
function covers(there: Buffer, sent: Buffer, except?: number): boolean {
  const present = Map.groupBy(each(there), ([type]) => type & ~nestedFlag);
  const seen = new Map<number, number>();
  for (const [fullType, bytes] of each(sent)) {
    const type = fullType & ~nestedFlag;
    if (type === except) continue;
    const at = seen.get(type) ?? 0;
    seen.set(type, at + 1);
    const match = present.get(type)?.[at]?.[1];
    if (match === undefined) return false;
    const isSame = fullType === type ? match.equals(bytes) : covers(match, bytes);
    if (!isSame) return false;
  }
  return true;
}

function* each(bytes: Buffer): Iterable<readonly [number, Buffer]> {
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) return;
    yield [bytes.readUInt16LE(at + 2), bytes.subarray(at + 4, at + length)];
    at += (length + 3) & ~3;
  }
}

function text(body: Buffer, type: number): string {
  const bytes = readAttributes(body).get(type);
  return bytes === undefined ? '' : bytes.toString('latin1').replace(/\0$/, '');
}

function moreThan(
  found: readonly Buffer[],
  wanted: readonly Buffer[],
  what: string,
): string | undefined {
  if (found.length === wanted.length) return undefined;
  return `there are ${found.length} ${what} instead of ${wanted.length}`;
}

function firstOf<T>(items: Iterable<T>, find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
