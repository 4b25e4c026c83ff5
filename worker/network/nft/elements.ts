/** Elements of sets and maps: many of them in few messages. */
import { attribute, cString, flags, nested, type Request } from '../netlink/wire.ts';
import { verdictData } from './expressions.ts';
import {
  dataAttributes,
  elementAttributes,
  elementListAttributes,
  listElement,
  nftTypes,
} from './numbers.ts';
import { request, type TableName } from './table.ts';

/** The length of an attribute is a number of 16 bits; a list must stay below. */
const listBytesMax = 48 * 1024;

/** As bytes, each part of a key or of data in whole registers. Of a plain set, only the key. */
export interface SetElement {
  readonly key: Buffer;
  readonly data?: Buffer;
  /** In a map of verdicts: the chain that packets go to. */
  readonly goTo?: string;
}

export function addElements(
  table: TableName,
  set: string,
  elements: Iterable<SetElement>,
): readonly Request[] {
  return lists(table, set, elements, nftTypes.addElements, 'add');
}

/** Those that are not there make the whole batch fail. */
export function removeElements(
  table: TableName,
  set: string,
  elements: Iterable<SetElement>,
): readonly Request[] {
  return lists(table, set, elements, nftTypes.removeElements, 'remove');
}

function lists(
  table: TableName,
  set: string,
  elements: Iterable<SetElement>,
  type: number,
  verb: 'add' | 'remove',
): readonly Request[] {
  const requests: Request[] = [];
  let members: Buffer[] = [];
  let bytes = 0;
  const flush = () => {
    if (members.length === 0) return;
    const what = `${verb} ${members.length} elements of ${set}`;
    const list = nested(elementListAttributes.elements, ...members);
    requests.push(
      request(table, type, verb === 'add' ? flags.create : 0, what, [
        attribute(elementListAttributes.table, cString(table.name)),
        attribute(elementListAttributes.set, cString(set)),
        list,
      ]),
    );
    members = [];
    bytes = 0;
  };
  for (const element of elements) {
    const member = elementBytes(element, verb === 'add');
    if (bytes + member.length > listBytesMax) flush();
    members.push(member);
    bytes += member.length;
  }
  flush();
  return requests;
}

/** Written in one piece: a namespace gets thousands of these while its container starts. */
function elementBytes({ key, data, goTo }: SetElement, withData: boolean): Buffer {
  const value = withData ? (goTo === undefined ? data : gotoBytes(goTo)) : undefined;
  const keyLength = edge + padded(key);
  const bytes = Buffer.alloc(edge + edge + keyLength + (value ? edge + edge + padded(value) : 0));
  writeEdge(bytes, 0, bytes.length, listElement | nestedFlag);
  writeEdge(bytes, edge, edge + keyLength, elementAttributes.key | nestedFlag);
  writeEdge(bytes, 2 * edge, edge + key.length, dataAttributes.value);
  key.copy(bytes, 3 * edge);
  if (value === undefined) return bytes;
  const at = 2 * edge + keyLength;
  const type = goTo === undefined ? dataAttributes.value : dataAttributes.verdict | nestedFlag;
  writeEdge(bytes, at, bytes.length - at, elementAttributes.data | nestedFlag);
  writeEdge(bytes, at + edge, edge + value.length, type);
  value.copy(bytes, at + 2 * edge);
  return bytes;
}

const nestedFlag = 0x8000;
const edge = 4;

function writeEdge(bytes: Buffer, at: number, length: number, type: number): void {
  bytes.writeUInt16LE(length, at);
  bytes.writeUInt16LE(type, at + 2);
}

function padded(bytes: Buffer): number {
  return (bytes.length + 3) & ~3;
}

/** Few chains, many elements. */
const gotos = new Map<string, Buffer>();

function gotoBytes(chain: string): Buffer {
  let bytes = gotos.get(chain);
  if (bytes === undefined) gotos.set(chain, (bytes = verdictData('goto', chain).subarray(edge)));
  return bytes;
}
