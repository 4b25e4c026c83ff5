/** Echo requests from inside a network namespace: raw sockets, which Node has no binding for. */
import { closeSync } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { inNamespace } from '../network/namespace.ts';
import { addressBytes } from '../network/netlink/wire.ts';
import { connectRaw, rawSocket, receiveNow, send } from '../network/syscalls.ts';

export interface Echo {
  /** The namespace that it is sent from. */
  readonly netnsPath: string;
  readonly address: string;
  /** Of the whole IP packet. */
  readonly bytes: number;
}

const kinds = {
  ipv4: { domain: 2, protocol: 1, request: 8, reply: 0, header: 20 },
  ipv6: { domain: 10, protocol: 58, request: 128, reply: 129, header: 40 },
} as const;
const icmpHeaderBytes = 8;
/** A packet may be lost once without anything being wrong. */
const attempts = 3;
const waitMs = 600;
const pollMs = 10;

/** One that is still waited for. */
interface Waiting {
  readonly fd: number;
  readonly kind: (typeof kinds)[keyof typeof kinds];
  readonly message: Buffer;
  readonly id: number;
  isAnswered: boolean;
}

/** Which of them were answered, in their order. Takes two seconds where one is not. */
export async function echoAll(
  echoes: readonly Echo[],
  { clock, log }: { clock: Clock; log: Logger },
): Promise<readonly boolean[]> {
  const all = echoes.map((echo, index) => open(echo, (process.pid + index) & 0xffff, log));
  try {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const open = all.filter((each) => each?.isAnswered === false) as Waiting[];
      if (open.length === 0) break;
      for (const each of open) ask(each, attempt, log);
      const untilMs = clock.monotonicMs() + waitMs;
      while (open.some((each) => !each.isAnswered) && clock.monotonicMs() < untilMs) {
        await clock.sleep(pollMs);
        for (const each of open) listen(each, log);
      }
    }
    return all.map((each) => each?.isAnswered === true);
  } finally {
    for (const each of all) if (each !== undefined) closeSync(each.fd);
  }
}

/** Undefined where there is no way at all. */
function open({ netnsPath, address, bytes }: Echo, id: number, log: Logger): Waiting | undefined {
  const kind = address.includes(':') ? kinds.ipv6 : kinds.ipv4;
  const message = Buffer.alloc(Math.max(icmpHeaderBytes, bytes - kind.header));
  message[0] = kind.request;
  message.writeUInt16BE(id, 4);
  let fd: number | undefined;
  try {
    fd = inNamespace(netnsPath, () => rawSocket(kind.domain, kind.protocol));
    connectRaw(fd, addressBytes(address));
    return { fd, kind, message, id, isAnswered: false };
  } catch (error) {
    log.debug('no echo can be sent', { address, error: messageOf(error) });
    if (fd !== undefined) closeSync(fd);
    return undefined;
  }
}

function ask({ fd, kind, message }: Waiting, sequence: number, log: Logger): void {
  message.writeUInt16BE(sequence, 6);
  message.writeUInt16BE(0, 2);
  // The kernel itself does this for IPv6, whose sum covers the addresses too.
  if (kind === kinds.ipv4) message.writeUInt16BE(checksum(message), 2);
  try {
    send(fd, message);
  } catch (error) {
    log.debug('an echo was not sent', { error: messageOf(error) });
  }
}

function listen(waiting: Waiting, log: Logger): void {
  const buffer = Buffer.alloc(waiting.message.length + 60);
  try {
    for (;;) {
      const length = receiveNow(waiting.fd, buffer);
      if (length === undefined) return;
      if (isReply(waiting, buffer.subarray(0, length))) waiting.isAnswered = true;
    }
  } catch (error) {
    // What an ICMP message said of an earlier packet: too large, or no way.
    log.debug('an echo was refused', { error: messageOf(error) });
  }
}

function isReply({ kind, id, message }: Waiting, bytes: Buffer): boolean {
  // IPv4 gives its own header along, four bytes for each of the low digit.
  const start = kind === kinds.ipv4 ? ((bytes[0] ?? 0) & 0xf) * 4 : 0;
  if (bytes.length < start + message.length) return false;
  return bytes[start] === kind.reply && bytes.readUInt16BE(start + 4) === id;
}

function checksum(message: Buffer): number {
  let sum = 0;
  for (let at = 0; at < message.length; at += 2) {
    sum += at + 1 < message.length ? message.readUInt16BE(at) : (message[at] ?? 0) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
