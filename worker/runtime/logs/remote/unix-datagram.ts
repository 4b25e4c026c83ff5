/** A datagram socket that is connected to a path. Node has none. */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { SwarmError } from '../../../../lib/errors.ts';

const libc = koffi.load('libc.so.6');
const makeSocket = libc.func('int socket(int domain, int type, int protocol)');
const connectTo = libc.func('int connect(int fd, const void *address, unsigned int length)');
const sendOn = libc.func('long send(int fd, const void *bytes, unsigned long length, int flags)');

const afUnix = 1;
const pathMax = 107;
/** SOCK_DGRAM, SOCK_NONBLOCK and SOCK_CLOEXEC. */
const datagram = 2 | 0o4000 | 0o2000000;
const noSignal = 0x4000;

export class UnixDatagram implements Disposable {
  readonly #fd: number;

  /** Throws `unavailable` where nobody listens. */
  constructor(path: string) {
    const bytes = Buffer.from(path);
    if (bytes.length > pathMax) {
      throw new SwarmError('invalid-argument', `the path ${path} is too long for a socket`);
    }
    const address = Buffer.alloc(2 + bytes.length + 1);
    address.writeUInt16LE(afUnix);
    bytes.copy(address, 2);
    const fd = makeSocket(afUnix, datagram, 0) as number;
    if (fd < 0) throw failure('socket');
    if ((connectTo(fd, address, address.length) as number) !== 0) {
      const why = failure(`connect ${path}`);
      closeSync(fd);
      throw why;
    }
    this.#fd = fd;
  }

  /** False: the receiver is behind, and this is to be sent later. Throws `unavailable`. */
  send(bytes: Uint8Array): boolean {
    if (Number(sendOn(this.#fd, bytes, bytes.length, noSignal)) >= 0) return true;
    if (koffi.errno() === koffi.os.errno['EAGAIN']) return false;
    throw failure('send');
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function failure(what: string): SwarmError {
  const number = koffi.errno();
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0];
  return new SwarmError('unavailable', `${what}: ${name ?? `errno ${number}`}`, {
    details: { errno: name ?? '' },
  });
}
