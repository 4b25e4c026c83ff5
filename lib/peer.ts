/** Who is at the other end of a connection, as far as the kernel or a certificate says. */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import koffi from 'koffi';
import { errnoOf } from './errors.ts';

const libc = koffi.load('libc.so.6');
const getOption = libc.func(
  'int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)',
);

const solSocket = 1;
const soPeerCred = 17;
/** Of the kernel's pid, uid and gid. */
const credentialBytes = 12;
const longest = 128;

/**
 * The name in the client's certificate, or the user at the other end of a socket of this host:
 * `alice`, or `uid 1000` for one without a name. Undefined where nothing is known.
 */
export function peerName(socket: Socket, passwd = '/etc/passwd'): string | undefined {
  if (socket instanceof TLSSocket) {
    const name: unknown = socket.getPeerCertificate().subject?.CN;
    return typeof name === 'string' ? name.slice(0, longest) : undefined;
  }
  const uid = peerUid(socket);
  return uid === undefined ? undefined : (userName(uid, passwd) ?? `uid ${uid}`);
}

/** Undefined for a connection that is not one of this host's sockets. */
function peerUid(socket: Socket): number | undefined {
  if (socket.remoteAddress !== undefined) return undefined;
  // Node tells the descriptor of a connection nowhere else.
  const { fd } = (socket as { _handle?: { fd?: unknown } | null })._handle ?? {};
  if (typeof fd !== 'number' || fd < 0) return undefined;
  const value = Buffer.alloc(credentialBytes);
  const length = [credentialBytes];
  if ((getOption(fd, solSocket, soPeerCred, value, length) as number) !== 0) return undefined;
  const uid = value.readUInt32LE(4);
  // What the kernel says of a socket that is not of this kind.
  return uid === 0xffffffff ? undefined : uid;
}

function userName(uid: number, path: string): string | undefined {
  try {
    const fields = readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
    return fields.find(([, , id]) => id === String(uid))?.[0];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
