/**
 * What rules are made of. A Value puts bytes into registers; a Statement does something with them.
 * Registers are counted in units of four bytes; a Value of more bytes fills as many as it needs.
 */
import { attribute, cString, nested } from '../netlink/wire.ts';
import {
  dataAttributes,
  expressionAttributes,
  families,
  listElement,
  verdictAttributes,
} from './numbers.ts';

/** One expression as the kernel reads it. */
type Expression = Buffer;
export type Statement = readonly Expression[];
export interface Value {
  /** Bytes, before they are padded to whole registers. */
  readonly length: number;
  readonly load: (register: number) => readonly Expression[];
}

/** Netfilter names the registers of 16 bytes 1 to 4, and those of 4 bytes from 8 on. */
function registerNumber(register: number): number {
  return register % 4 === 0 ? 1 + register / 4 : 8 + register;
}

export function be16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** As the machine has it; netfilter runs on little-endian ones here, as Node does. */
export function native32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

function expression(name: string, ...attributes: readonly Buffer[]): Expression {
  return nested(
    listElement,
    attribute(expressionAttributes.name, cString(name)),
    // Of some that have none the kernel does not give the empty list back.
    ...(attributes.length === 0 ? [] : [nested(expressionAttributes.data, ...attributes)]),
  );
}

const number = (type: number, value: number) => attribute(type, be32(value));
const register = (type: number, at: number) => number(type, registerNumber(at));
const data = (type: number, bytes: Buffer) => nested(type, attribute(dataAttributes.value, bytes));

const metaKeys = {
  mark: { key: 3, length: 4 },
  inputName: { key: 6, length: 16 },
  outputName: { key: 7, length: 16 },
  family: { key: 15, length: 1 },
  protocol: { key: 16, length: 1 },
} as const;

function metaValue({ key, length }: { key: number; length: number }): Value {
  return { length, load: (at) => [expression('meta', register(1, at), number(2, key))] };
}

/** What is known of a packet besides its bytes. */
export const meta = {
  mark: metaValue(metaKeys.mark),
  inputName: metaValue(metaKeys.inputName),
  outputName: metaValue(metaKeys.outputName),
  family: metaValue(metaKeys.family),
  /** TCP, UDP, …: a number of /etc/protocols. */
  protocol: metaValue(metaKeys.protocol),
} as const;

const bases = { link: 0, network: 1, transport: 2 } as const;
type PayloadBase = keyof typeof bases;

export function payload(base: PayloadBase, offset: number, length: number): Value {
  return {
    length,
    load: (at) => [
      expression(
        'payload',
        register(1, at),
        number(2, bases[base]),
        number(3, offset),
        number(4, length),
      ),
    ],
  };
}

/** Parts of a packet. Those of IPv4 and IPv6 hold only where the family has been asked for. */
export const packet = {
  ipv4Source: payload('network', 12, 4),
  ipv4Destination: payload('network', 16, 4),
  ipv6Source: payload('network', 8, 16),
  ipv6Destination: payload('network', 24, 16),
  /** Of TCP, UDP and SCTP alike. */
  sourcePort: payload('transport', 0, 2),
  destinationPort: payload('transport', 2, 2),
} as const;

const ctKeys = { state: 0, direction: 1, status: 2, mark: 3, zone: 17 } as const;

function ctValue(key: number, length: number): Value {
  return { length, load: (at) => [expression('ct', register(1, at), number(2, key))] };
}

/** What connection tracking knows. */
export const ct = {
  state: ctValue(ctKeys.state, 4),
  /** 0: as the connection was opened; 1: back. */
  direction: ctValue(ctKeys.direction, 1),
  status: ctValue(ctKeys.status, 4),
  mark: ctValue(ctKeys.mark, 4),
} as const;
export const ctStates = { established: 2, related: 4, new: 8 } as const;
export const ctStatus = { destinationTranslated: 0x20 } as const;

/** A number from 0 to `modulus` − 1, in the machine's order. */
export function random(modulus: number): Value {
  const randomType = 1;
  return {
    length: 4,
    load: (at) => [
      expression(
        'numgen',
        register(1, at),
        number(2, modulus),
        number(3, randomType),
        number(4, 0),
      ),
    ],
  };
}

/** Whether the packet is for this host: what the routing tables say of its destination. */
export const destinationType: Value = {
  length: 4,
  load: (at) => [expression('fib', register(1, at), number(2, 3), number(3, 2))],
};
export const isLocal = 2;
export const isElsewhere = 1;

/** The largest segment that fits the route in both directions; in the machine's order. */
export const routeSegment: Value = {
  length: 2,
  load: (at) => [expression('rt', register(1, at), number(2, 3))],
};

export function constant(bytes: Buffer): Value {
  return {
    length: bytes.length,
    load: (at) => [expression('immediate', register(1, at), data(2, bytes))],
  };
}

/** One after the other, each in whole registers: what keys of several parts are made of. */
export function concat(...values: readonly Value[]): Value {
  const length = values.reduce((sum, value) => sum + registersOf(value) * 4, 0);
  return {
    length,
    load: (at) => {
      let next = at;
      return values.flatMap((value) => {
        const here = next;
        next += registersOf(value);
        return value.load(here);
      });
    },
  };
}

function registersOf(value: Value): number {
  return Math.ceil(value.length / 4);
}

/** The value after one more operation, which leaves it in the registers that it was in. */
function worked(value: Value, name: string, ...settings: readonly Buffer[]): Value {
  return {
    length: value.length,
    load: (at) => [
      ...value.load(at),
      expression(name, register(1, at), register(2, at), ...settings),
    ],
  };
}

/** (value & mask) ^ flip */
export function bits(value: Value, mask: Buffer, flip: Buffer = Buffer.alloc(mask.length)): Value {
  return worked(value, 'bitwise', number(3, value.length), data(4, mask), data(5, flip));
}

/** Shifts to the left, in the machine's order. */
export function shiftedLeft(value: Value, count: number): Value {
  const leftShift = number(6, 1);
  return worked(value, 'bitwise', number(3, value.length), leftShift, data(7, native32(count)));
}

/** Between the order of the network and the machine's. */
export function swapped(value: Value, to: 'machine' | 'network'): Value {
  const direction = number(3, to === 'machine' ? 0 : 1);
  const { length } = value;
  return worked(value, 'byteorder', direction, number(4, length), number(5, length));
}

/** What a map has for the key. Where it has nothing, the rule ends here. */
export function mapped(key: Value, map: string, length: number): Value {
  return {
    length,
    load: (at) => [
      ...key.load(at),
      expression('lookup', attribute(1, cString(map)), register(2, at), register(3, at)),
    ],
  };
}

const comparisons = { equal: 0, different: 1 } as const;

function compare(value: Value, how: keyof typeof comparisons, bytes: Buffer): Statement {
  return [
    ...value.load(0),
    expression('cmp', register(1, 0), number(2, comparisons[how]), data(3, bytes)),
  ];
}

export function equals(value: Value, bytes: Buffer): Statement {
  return compare(value, 'equal', bytes);
}

export function differs(value: Value, bytes: Buffer): Statement {
  return compare(value, 'different', bytes);
}

/**
 * Whether the packet finds a socket here as it is now: one of its connection, or one that listens.
 * What it asks of the socket has no third answer.
 */
export const hasSocket: Statement = differs(
  {
    length: 1,
    load: (at) => [expression('socket', number(1, 0), register(2, at))],
  },
  Buffer.from([2]),
);

/** Any bit of `mask` is set. */
export function anyOf(value: Value, mask: number): Statement {
  return differs(bits(value, native32(mask)), native32(0));
}

export function isIn(key: Value, set: string): Statement {
  return [...key.load(0), expression('lookup', attribute(1, cString(set)), register(2, 0))];
}

/** Goes where the map says. Where it says nothing, the next rule's turn comes. */
export function verdictOf(key: Value, map: string): Statement {
  const verdictRegister = 0;
  return [
    ...key.load(0),
    expression('lookup', attribute(1, cString(map)), register(2, 0), number(3, verdictRegister)),
  ];
}

export function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write(name, 'latin1');
  return bytes;
}

/** `protocol` as in /etc/protocols. */
export const protocolNumbers = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

export const isFamily = {
  ip: equals(meta.family, Buffer.from([families.ip])),
  ip6: equals(meta.family, Buffer.from([families.ip6])),
} as const;

export function isProtocol(name: keyof typeof protocolNumbers): Statement {
  return equals(meta.protocol, Buffer.from([protocolNumbers[name]]));
}

const natTypes = { snat: 0, dnat: 1 } as const;

/** `target` is an address, or with `hasPort` an address and behind it, in the next register, a port. */
export function translate(
  type: keyof typeof natTypes,
  family: 'ip' | 'ip6',
  target: Value,
  hasPort = false,
): Statement {
  const portRegister = family === 'ip' ? 1 : 4;
  return [
    ...target.load(0),
    expression(
      'nat',
      number(1, natTypes[type]),
      number(2, families[family]),
      register(3, 0),
      ...(hasPort ? [register(5, portRegister)] : []),
    ),
  ];
}

export function setMark(value: Value): Statement {
  return [...value.load(0), expression('meta', number(2, metaKeys.mark.key), register(3, 0))];
}

export function setCtMark(value: Value): Statement {
  return [...value.load(0), expression('ct', number(2, ctKeys.mark), register(4, 0))];
}

/** For packets of the connection's own direction; replies stay in the zone that all share. */
export function setOriginalZone(value: Value): Statement {
  const original = attribute(3, Buffer.from([0]));
  return [...value.load(0), expression('ct', number(2, ctKeys.zone), original, register(4, 0))];
}

/** Writes into the packet's link header, which has no checksum of its own. */
export function setLinkBytes(offset: number, length: number, value: Value): Statement {
  return [
    ...value.load(0),
    expression(
      'payload',
      number(2, bases.link),
      number(3, offset),
      number(4, length),
      register(5, 0),
      number(6, 0),
      number(7, 0),
      number(8, 0),
    ),
  ];
}

/** Lowers what the packet says of its sender's segments; larger ones are left as they are. */
export function lowerSegment(value: Value): Statement {
  const maximumSegment = 2;
  const tcpOption = 1;
  return [
    ...value.load(0),
    expression(
      'exthdr',
      attribute(2, Buffer.from([maximumSegment])),
      number(3, 2),
      number(4, 2),
      number(6, tcpOption),
      register(7, 0),
    ),
  ];
}

const rejects = {
  'tcp-reset': { type: 1, code: undefined },
  'port-unreachable': { type: 2, code: 1 },
  'no-route': { type: 2, code: 0 },
} as const;

export function reject(how: keyof typeof rejects): Statement {
  const { type, code } = rejects[how];
  const codes = code === undefined ? [] : [attribute(2, Buffer.from([code]))];
  return [expression('reject', number(1, type), ...codes)];
}

const verdicts = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

/** Of an element in a map of verdicts, or of a rule. */
export function verdictData(how: keyof typeof verdicts, chain?: string): Buffer {
  return nested(
    dataAttributes.verdict,
    number(verdictAttributes.code, verdicts[how]),
    ...(chain === undefined ? [] : [attribute(verdictAttributes.chain, cString(chain))]),
  );
}

export function verdict(how: keyof typeof verdicts, chain?: string): Statement {
  const verdictRegister = 0;
  return [expression('immediate', number(1, verdictRegister), nested(2, verdictData(how, chain)))];
}

/** The packet is nobody's connection. Only ahead of connection tracking. */
export const notrack: Statement = [expression('notrack')];
export const masquerade: Statement = [expression('masq')];
export const counter: Statement = [expression('counter')];
