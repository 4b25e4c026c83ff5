/** Requests about TCP sockets of a namespace. Numbers are those of linux/inet_diag.h. */
import { errno } from '../syscalls.ts';
import { families, type Request } from './wire.ts';

export const socketRequests = { dump: 20, destroy: 21 } as const;

const tcp = 6;
/** States of a connection that has a peer, or waits for one: not those that only listen. */
const states = { established: 1, synSent: 2, finWait1: 4, finWait2: 5, closeWait: 8, lastAck: 9 };
const closing = 11;
const connected = [...Object.values(states), closing].reduce(
  (mask, state) => mask | (1 << state),
  0,
);

const headerBytes = 8;
/** Ports, addresses, the interface and a number that no other socket will have. */
const identityBytes = 48;

/** A connection as the kernel names it; its bytes are given back as they came. */
export interface Connection {
  readonly family: number;
  readonly identity: Buffer;
}

export function dumpConnections(family: number): Buffer {
  return message(family, Buffer.alloc(identityBytes));
}

export function readConnection(body: Buffer): Connection {
  const identity = Buffer.from(body.subarray(4, 4 + identityBytes));
  return { family: body[0] ?? families.inet, identity };
}

/** The peer is told by a reset. One that has come to its end meanwhile is not an error. */
export function endConnection({ family, identity }: Connection): Request {
  return {
    type: socketRequests.destroy,
    flags: 0,
    what: 'end a connection',
    tolerated: [errno.notFound],
    body: message(family, identity),
  };
}

function message(family: number, identity: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = family;
  header[1] = tcp;
  header.writeUInt32LE(connected, 4);
  return Buffer.concat([header, identity]);
}
