/**
 * rtnetlink: links, addresses and routes, without spawning a program. A socket belongs to the
 * namespace in which it is made, and works on that namespace wherever the thread goes later.
 * Message and attribute numbers are those of linux/rtnetlink.h and linux/if_link.h.
 */
import { closeSync } from 'node:fs';
import {
  errno,
  rawSocket,
  receive,
  send,
  setReceiveTimeout,
  socketFamilies,
  SyscallError,
} from './syscalls.ts';

const messages = {
  error: 2,
  done: 3,
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddr: 20,
  getAddr: 22,
  newRoute: 24,
  getRoute: 26,
} as const;

const flags = { request: 1, ack: 4, dump: 0x300, create: 0x400, exclusive: 0x200 } as const;
const linkAttributes = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  linkInfo: 18,
  netNsFd: 28,
} as const;
const linkInfo = { kind: 1, data: 2 } as const;
const vethPeer = 1;
const addressAttributes = { address: 1, local: 2, broadcast: 4 } as const;
const routeAttributes = { destination: 1, outInterface: 4, gateway: 5 } as const;
const linkUp = 1;
const inet = 2;

const headerBytes = 16;
const receiveTimeoutSeconds = 5;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** Index of the bridge it belongs to; 0: none. */
  readonly master: number;
}

export interface LinkAddress {
  readonly linkIndex: number;
  /** "172.18.0.1/16" */
  readonly cidr: string;
}

export class Netlink implements Disposable {
  readonly #fd: number;
  #sequence = 0;
  readonly #buffer = Buffer.alloc(64 * 1024);

  /** Opens a socket in the thread's present namespace. */
  constructor() {
    this.#fd = rawSocket(socketFamilies.netlink, 0);
    // An answer is ready when send returns; the bound only guards against a kernel that never does.
    setReceiveTimeout(this.#fd, receiveTimeoutSeconds);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  links(): readonly Link[] {
    return this.#dump(messages.getLink, Buffer.alloc(16)).map((body) => {
      const attributes = readAttributes(body.subarray(16));
      return {
        index: body.readInt32LE(4),
        name: text(attributes.get(linkAttributes.name)),
        up: (body.readUInt32LE(8) & linkUp) !== 0,
        mtu: attributes.get(linkAttributes.mtu)?.readUInt32LE(0) ?? 0,
        mac: macText(attributes.get(linkAttributes.address)),
        master: attributes.get(linkAttributes.master)?.readUInt32LE(0) ?? 0,
      };
    });
  }

  link(name: string): Link | undefined {
    return this.links().find((link) => link.name === name);
  }

  addresses(): readonly LinkAddress[] {
    return this.#dump(messages.getAddr, Buffer.alloc(8)).flatMap((body) => {
      if (body[0] !== inet) return [];
      const attributes = readAttributes(body.subarray(8));
      const local = attributes.get(addressAttributes.local) ?? attributes.get(1);
      if (local === undefined) return [];
      return [{ linkIndex: body.readUInt32LE(4), cidr: `${local.join('.')}/${body[1] ?? 0}` }];
    });
  }

  /** Destinations of the IPv4 routes, as "172.18.0.0/16"; the default route is "0.0.0.0/0". */
  routes(): readonly string[] {
    return this.#dump(messages.getRoute, Buffer.alloc(12)).flatMap((body) => {
      if (body[0] !== inet) return [];
      const destination = readAttributes(body.subarray(12)).get(routeAttributes.destination);
      return [`${destination?.join('.') ?? '0.0.0.0'}/${body[1] ?? 0}`];
    });
  }

  addBridge(name: string): void {
    this.#request(
      messages.newLink,
      flags.create | flags.exclusive,
      Buffer.concat([
        linkHeader(0, false),
        attribute(linkAttributes.name, cString(name)),
        attribute(linkAttributes.linkInfo, attribute(linkInfo.kind, cString('bridge'))),
      ]),
    );
  }

  /** One end joins `master` and is up; the other goes into the namespace `peer.netnsFd`. */
  addVeth(
    name: string,
    options: { master: number; mtu: number },
    peer: { name: string; mac: string; netnsFd: number },
  ): void {
    const mtu = attribute(linkAttributes.mtu, uint32(options.mtu));
    const peerMessage = Buffer.concat([
      linkHeader(0, false),
      attribute(linkAttributes.name, cString(peer.name)),
      attribute(linkAttributes.address, macBytes(peer.mac)),
      mtu,
      attribute(linkAttributes.netNsFd, uint32(peer.netnsFd)),
    ]);
    this.#request(
      messages.newLink,
      flags.create | flags.exclusive,
      Buffer.concat([
        linkHeader(0, true),
        attribute(linkAttributes.name, cString(name)),
        attribute(linkAttributes.master, uint32(options.master)),
        mtu,
        attribute(
          linkAttributes.linkInfo,
          Buffer.concat([
            attribute(linkInfo.kind, cString('veth')),
            attribute(linkInfo.data, attribute(vethPeer, peerMessage)),
          ]),
        ),
      ]),
    );
  }

  setUp(index: number): void {
    this.#request(messages.setLink, 0, linkHeader(index, true));
  }

  /** Removes a link; one that does not exist is not an error. */
  deleteLink(name: string): void {
    try {
      this.#request(
        messages.delLink,
        0,
        Buffer.concat([linkHeader(0, false), attribute(linkAttributes.name, cString(name))]),
      );
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === errno.noDevice)) throw error;
    }
  }

  /** `cidr` such as "172.18.0.5/16"; the broadcast address is set along. */
  addAddress(index: number, cidr: string): void {
    const { bytes, prefix } = parseCidr(cidr);
    const header = Buffer.alloc(8);
    header.writeUInt8(inet, 0);
    header.writeUInt8(prefix, 1);
    header.writeUInt32LE(index, 4);
    const hostBits = prefix === 0 ? 0xffffffff : 2 ** (32 - prefix) - 1;
    const broadcast = Buffer.alloc(4);
    broadcast.writeUInt32BE((bytes.readUInt32BE(0) | hostBits) >>> 0);
    this.#request(
      messages.newAddr,
      flags.create | flags.exclusive,
      Buffer.concat([
        header,
        attribute(addressAttributes.local, bytes),
        attribute(addressAttributes.address, bytes),
        attribute(addressAttributes.broadcast, broadcast),
      ]),
    );
  }

  addDefaultRoute(gateway: string): void {
    const header = Buffer.alloc(12);
    const mainTable = 254;
    const bootProtocol = 3;
    const unicast = 1;
    header.writeUInt8(inet, 0);
    header.writeUInt8(mainTable, 4);
    header.writeUInt8(bootProtocol, 5);
    header.writeUInt8(unicast, 7);
    this.#request(
      messages.newRoute,
      flags.create | flags.exclusive,
      Buffer.concat([header, attribute(routeAttributes.gateway, parseCidr(`${gateway}/32`).bytes)]),
    );
  }

  /** Sends one request and waits for its acknowledgement; throws SyscallError with its errno. */
  #request(type: number, extraFlags: number, body: Buffer): void {
    const sequence = this.#send(type, flags.request | flags.ack | extraFlags, body);
    for (;;) {
      const length = receive(this.#fd, this.#buffer);
      for (const message of split(this.#buffer.subarray(0, length))) {
        if (message.sequence !== sequence || message.type !== messages.error) continue;
        const code = -message.body.readInt32LE(0);
        if (code !== 0) throw new SyscallError(`netlink request ${type}`, code);
        return;
      }
    }
  }

  #dump(type: number, body: Buffer): Buffer[] {
    const sequence = this.#send(type, flags.request | flags.dump, body);
    const found: Buffer[] = [];
    for (;;) {
      const length = receive(this.#fd, this.#buffer);
      for (const message of split(this.#buffer.subarray(0, length))) {
        if (message.sequence !== sequence) continue;
        if (message.type === messages.done) return found;
        if (message.type === messages.error) {
          throw new SyscallError(`netlink dump ${type}`, -message.body.readInt32LE(0));
        }
        found.push(Buffer.from(message.body));
      }
    }
  }

  #send(type: number, messageFlags: number, body: Buffer): number {
    this.#sequence += 1;
    const message = Buffer.alloc(headerBytes + body.length);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(messageFlags, 6);
    message.writeUInt32LE(this.#sequence, 8);
    body.copy(message, headerBytes);
    send(this.#fd, message);
    return this.#sequence;
  }
}

interface Message {
  readonly type: number;
  readonly sequence: number;
  readonly body: Buffer;
}

function* split(bytes: Buffer): Iterable<Message> {
  for (let at = 0; at + headerBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    yield {
      type: bytes.readUInt16LE(at + 4),
      sequence: bytes.readUInt32LE(at + 8),
      body: bytes.subarray(at + headerBytes, at + length),
    };
    at += aligned(Math.max(length, headerBytes));
  }
}

function readAttributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  const nestedFlag = 0x8000;
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) break;
    found.set(bytes.readUInt16LE(at + 2) & ~nestedFlag, bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return found;
}

function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(aligned(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}

function linkHeader(index: number, up: boolean): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(up ? linkUp : 0, 8);
  header.writeUInt32LE(up ? linkUp : 0, 12);
  return header;
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function cString(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function text(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : bytes.toString('utf8').replace(/\0$/, '');
}

function macText(bytes: Buffer | undefined): string {
  return [...(bytes ?? [])].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function parseCidr(cidr: string): { bytes: Buffer; prefix: number } {
  const [address = '', prefix = '32'] = cidr.split('/');
  return { bytes: Buffer.from(address.split('.').map(Number)), prefix: Number(prefix) };
}
