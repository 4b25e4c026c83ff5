/** Requests about namespaces. Numbers are those of linux/net_namespace.h. */
import { errno } from '../syscalls.ts';
import { attribute, uint32, type Request } from './wire.ts';

const addNumber = 88;
const attributes = { number: 1, fd: 3 } as const;
const anyNumber = 0xffff_ffff;
const headerLength = 4;

/** Gives a namespace a number in the socket's own, which then can hear of it; it keeps one it has. */
export function numberNamespace(fd: number): Request {
  return {
    type: addNumber,
    flags: 0,
    body: Buffer.concat([
      Buffer.alloc(headerLength),
      attribute(attributes.number, uint32(anyNumber)),
      attribute(attributes.fd, uint32(fd)),
    ]),
    what: 'give a namespace a number',
    tolerated: [errno.exists],
  };
}
