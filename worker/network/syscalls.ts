/**
 * The few system calls that Node has no binding for. All are synchronous and run on the calling
 * thread, which is what network namespaces need: a namespace belongs to a thread.
 */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { addressBytes } from './netlink/wire.ts';

const libc = koffi.load('libc.so.6');

const bindings = {
  setns: libc.func('int setns(int fd, int nstype)'),
  unshare: libc.func('int unshare(int flags)'),
  mount: libc.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, ' +
      'const char *data)',
  ),
  umount2: libc.func('int umount2(const char *target, int flags)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const uint8_t *address, unsigned int length)'),
  connect: libc.func('int connect(int fd, const uint8_t *address, unsigned int length)'),
  send: libc.func('intptr_t send(int fd, const uint8_t *buffer, size_t length, int flags)'),
  recv: libc.func('intptr_t recv(int fd, _Out_ uint8_t *buffer, size_t length, int flags)'),
  setsockopt: libc.func(
    'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
  ),
};

/** A system call that failed, with its errno. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  readonly errno: number;
  /** As Node names it: "EADDRINUSE". */
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = errnoNames.get(errno) ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.errno = errno;
    this.code = code;
  }
}

const codes = koffi.os.errno as Readonly<Record<string, number>>;
const errnoNames = new Map(Object.entries(codes).map(([name, code]) => [code, name]));

export const errno = {
  exists: codes['EEXIST'] ?? 17,
  notFound: codes['ENOENT'] ?? 2,
  noProcess: codes['ESRCH'] ?? 3,
  wouldBlock: codes['EAGAIN'] ?? 11,
  busy: codes['EBUSY'] ?? 16,
  noDevice: codes['ENODEV'] ?? 19,
  invalid: codes['EINVAL'] ?? 22,
  protocolNotSupported: codes['EPROTONOSUPPORT'] ?? 93,
  noBuffers: codes['ENOBUFS'] ?? 105,
  typeNotSupported: codes['ESOCKTNOSUPPORT'] ?? 94,
  notSupported: codes['EOPNOTSUPP'] ?? 95,
  addressInUse: codes['EADDRINUSE'] ?? 98,
  addressNotAvailable: codes['EADDRNOTAVAIL'] ?? 99,
};

function checked(call: string, result: number): number {
  if (result < 0) throw new SyscallError(call, koffi.errno());
  return result;
}

const cloneNewNet = 0x40000000;

export function setNetworkNamespace(fd: number): void {
  checked('setns', bindings.setns(fd, cloneNewNet) as number);
}

export function unshareNetwork(): void {
  checked('unshare', bindings.unshare(cloneNewNet) as number);
}

export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDevices: 4,
  noExec: 8,
  detach: 2,
  remount: 32,
  bind: 4096,
  recursive: 16384,
  isPrivate: 1 << 18,
  shared: 1 << 20,
} as const;

export function mount(
  source: string,
  target: string,
  flags: number,
  fileSystem?: { readonly type: string; readonly data: string },
): void {
  const { type = null, data = null } = fileSystem ?? {};
  checked(`mount ${target}`, bindings.mount(source, target, type, flags, data) as number);
}

export function unmount(target: string): void {
  checked(`umount ${target}`, bindings.umount2(target, mountFlags.detach) as number);
}

export const socketFamilies = { netlink: 16 } as const;
export const netlinkProtocols = { route: 0, sockets: 4 } as const;
const socketTypeRaw = 3;
const socketCloseOnExec = 0o2000000;

export function rawSocket(family: number, protocol: number): number {
  const type = socketTypeRaw | socketCloseOnExec;
  return checked('socket', bindings.socket(family, type, protocol) as number);
}

/** Hears what rtnetlink tells of; `isEverywhere`: also of namespaces that have a number in this one. */
export function newsSocket(groups: readonly number[], isEverywhere: boolean): number {
  const netlinkLevel = 270;
  const [addMembership, listenEverywhere] = [1, 8];
  const fd = rawSocket(socketFamilies.netlink, 0);
  try {
    const name = Buffer.alloc(12);
    name.writeUInt16LE(socketFamilies.netlink, 0);
    // Without a name of its own it is taken for the kernel, which need not tell itself.
    checked('bind', bindings.bind(fd, name, name.length) as number);
    if (isEverywhere) setOption(fd, netlinkLevel, listenEverywhere, 1);
    for (const group of groups) setOption(fd, netlinkLevel, addMembership, group);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const socketKinds = {
  tcp: { type: 1, protocol: 0 },
  udp: { type: 2, protocol: 0 },
  sctp: { type: 1, protocol: 132 },
} as const;

/**
 * A socket of the thread's present namespace, for Node to take over: its own ways to make one leave
 * the namespace before the system call comes. `bindTo` absent: not bound. At `::`, a socket of family
 * 6 has the port of both families.
 */
export function internetSocket(
  protocol: keyof typeof socketKinds,
  family: 4 | 6,
  bindTo?: { readonly address: string; readonly port: number },
): number {
  const domain = family === 4 ? 2 : 10;
  const kind = socketKinds[protocol];
  const type = kind.type | socketCloseOnExec;
  const fd = checked('socket', bindings.socket(domain, type, kind.protocol) as number);
  if (bindTo === undefined) return fd;
  try {
    if (protocol === 'tcp') setReuseAddress(fd);
    const bytes = addressBytes(bindTo.address);
    const name = Buffer.alloc(family === 4 ? 16 : 28);
    name.writeUInt16LE(domain, 0);
    name.writeUInt16BE(bindTo.port, 2);
    bytes.copy(name, family === 4 ? 4 : 8);
    const result = bindings.bind(fd, name, name.length) as number;
    checked(`bind ${bindTo.address}:${bindTo.port}`, result);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A socket that only has a name, which nobody else in the namespace can have meanwhile. */
export function nameSocket(name: string): number {
  const [local, datagrams] = [1, 2];
  const type = datagrams | socketCloseOnExec;
  const fd = checked('socket', bindings.socket(local, type, 0) as number);
  try {
    // A zero ahead of it: of the namespace, not of the file system.
    const bytes = Buffer.concat([Buffer.from([local, 0, 0]), Buffer.from(name)]);
    checked(`bind ${name}`, bindings.bind(fd, bytes, bytes.length) as number);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Or connections of a former process would hold the port for a minute. */
function setReuseAddress(fd: number): void {
  const reuseAddress = 2;
  setOption(fd, socketLevel, reuseAddress, 1);
}

function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  checked('setsockopt', bindings.setsockopt(fd, level, name, bytes, bytes.length) as number);
}

const socketLevel = 1;

/** A receive that takes longer fails with EAGAIN. */
export function setReceiveTimeout(fd: number, seconds: number): void {
  const receiveTimeout = 20;
  const timeval = Buffer.alloc(16);
  timeval.writeBigInt64LE(BigInt(seconds));
  const result = bindings.setsockopt(fd, socketLevel, receiveTimeout, timeval, 16) as number;
  checked('setsockopt', result);
}

/** How many bytes go in one message; the host's limit for others does not count. */
export function setSendBuffer(fd: number, bytes: number): void {
  const sendBufferForce = 32;
  setOption(fd, socketLevel, sendBufferForce, bytes);
}

export function send(fd: number, bytes: Uint8Array): void {
  checked('send', Number(bindings.send(fd, bytes, bytes.length, 0)));
}

/** A raw socket that hears of `address` alone, and sends there. Four or sixteen bytes. */
export function connectRaw(fd: number, address: Uint8Array): void {
  const isIpv6 = address.length === 16;
  const name = Buffer.alloc(isIpv6 ? 28 : 16);
  name.writeUInt16LE(isIpv6 ? 10 : 2, 0);
  name.set(address, isIpv6 ? 8 : 4);
  checked('connect', bindings.connect(fd, name, name.length) as number);
}

/** What has arrived by now; undefined for nothing. */
export function receiveNow(fd: number, buffer: Uint8Array): number | undefined {
  const doNotWait = 0x40;
  const length = Number(bindings.recv(fd, buffer, buffer.length, doNotWait));
  if (length < 0 && koffi.errno() === errno.wouldBlock) return undefined;
  return checked('recv', length);
}

/** Fills the start of `buffer`; returns how many bytes. */
export function receive(fd: number, buffer: Uint8Array): number {
  return checked('recv', Number(bindings.recv(fd, buffer, buffer.length, 0)));
}
