/**
 * rtnetlink: links, addresses, routes and neighbours, without spawning a program. A socket belongs
 * to the namespace in which it is made, and works on that namespace wherever the thread goes later.
 * Requests are made in netlink/; this sends them, many in one system call.
 */
import { closeSync } from 'node:fs';
import {
  addAddress,
  addressTypes,
  dumpAddresses,
  readAddress,
  type LinkAddress,
} from './netlink/addresses.ts';
import {
  addVeth,
  askForLink,
  dumpLinks,
  linkTypes,
  readLink,
  removeLink,
  setLink,
  type Link,
} from './netlink/links.ts';
import {
  dumpNeighbours,
  neighbourTypes,
  readForwarding,
  readNeighbour,
  type ForwardingEntry,
  type Neighbour,
} from './netlink/neighbours.ts';
import { dumpRoutes, readRoute, routeTypes, setRoute, type Route } from './netlink/routes.ts';
import {
  controlTypes,
  families,
  flags,
  headerBytes,
  readMessages,
  writeMessage,
  type Request,
} from './netlink/wire.ts';
import {
  errno,
  netlinkProtocols,
  rawSocket,
  receive,
  send,
  setReceiveTimeout,
  socketFamilies,
  SyscallError,
} from './syscalls.ts';

export type { Link, LinkAddress, Route, ForwardingEntry, Neighbour, Request };

const receiveTimeoutSeconds = 5;
/** Shared: what is read is taken out of it before anybody else can read. */
const buffer = Buffer.alloc(64 * 1024);
/** The kernel takes larger ones too, but copies them in one piece. */
const batchBytesMax = 32 * 1024;
/** In bytes, as linux/if.h has it. */
const linkNameMax = 15;
const isDefined = <T>(value: T | undefined): value is T => value !== undefined;

export class Netlink implements Disposable {
  readonly #fd: number;
  #sequence = 0;

  /** Opens a socket in the thread's present namespace. */
  constructor(protocol: number = netlinkProtocols.route) {
    this.#fd = rawSocket(socketFamilies.netlink, protocol);
    // An answer is ready when send returns; the bound only guards against a kernel that never does.
    setReceiveTimeout(this.#fd, receiveTimeoutSeconds);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /**
   * Sends all requests, in their order. One that fails does not keep the kernel from the next ones;
   * throws SyscallError of the first that failed with an error it does not tolerate.
   */
  run(...requests: readonly Request[]): void {
    let failure: SyscallError | undefined;
    for (let at = 0; at < requests.length;) {
      const batch: Request[] = [];
      for (let bytes = 0; at < requests.length; at++) {
        const request = requests[at]!;
        bytes += headerBytes + request.body.length;
        if (batch.length > 0 && bytes > batchBytesMax) break;
        batch.push(request);
      }
      failure ??= this.#runBatch(batch);
    }
    if (failure !== undefined) throw failure;
  }

  links(): readonly Link[] {
    return this.dump(linkTypes.get, dumpLinks()).map(readLink);
  }

  /** By its name or index. A host may have hundreds of others, which are not read. */
  link(which: string | number): Link | undefined {
    // Of such the kernel would say that they are wrong, not that there are none.
    if (which === 0 || (typeof which === 'string' && Buffer.byteLength(which) > linkNameMax)) {
      return undefined;
    }
    const body = this.#ask(linkTypes.get, askForLink(which), errno.noDevice);
    return body === undefined ? undefined : readLink(body);
  }

  /** Of IPv4; with `all`, of IPv6 too, without those that links give themselves. */
  addresses(which: 'ipv4' | 'all' = 'ipv4'): readonly LinkAddress[] {
    return this.dump(addressTypes.get, dumpAddresses(familyOf(which)))
      .map(readAddress)
      .filter(isDefined);
  }

  /** Unicast routes of the main table. */
  routeTable(which: 'ipv4' | 'all' = 'ipv4'): readonly Route[] {
    return this.dump(routeTypes.get, dumpRoutes(familyOf(which)))
      .map(readRoute)
      .filter(isDefined);
  }

  /** Destinations of the IPv4 routes, as "172.18.0.0/16"; the default route is "0.0.0.0/0". */
  routes(): readonly string[] {
    return this.routeTable().map(({ destination }) => destination);
  }

  neighbours(): readonly Neighbour[] {
    return this.dump(neighbourTypes.get, dumpNeighbours(families.unspecified))
      .map(readNeighbour)
      .filter(isDefined);
  }

  forwarding(): readonly ForwardingEntry[] {
    return this.dump(neighbourTypes.get, dumpNeighbours(families.bridge))
      .map(readForwarding)
      .filter(isDefined);
  }

  /** One end joins `master` and is up; the other goes into the namespace `peer.netnsFd`. */
  addVeth(
    name: string,
    options: { master: number; mtu: number },
    peer: { name: string; mac: string; netnsFd: number },
  ): void {
    this.run(addVeth({ name, master: options.master }, peer, options.mtu));
  }

  setUp(index: number): void {
    this.run(setLink(index, { up: true }));
  }

  /** Removes a link; one that does not exist is not an error. */
  deleteLink(name: string): void {
    this.run(removeLink(name));
  }

  /** `cidr` such as "172.18.0.5/16"; the broadcast address is set along. */
  addAddress(index: number, cidr: string): void {
    this.run(addAddress(index, cidr));
  }

  addDefaultRoute(gateway: string): void {
    this.run(setRoute({ destination: '0.0.0.0/0', gateway }));
  }

  /** Only the last is acknowledged; of the others the kernel says only what went wrong. */
  #runBatch(requests: readonly Request[]): SyscallError | undefined {
    const first = this.#sequence + 1;
    const last = (this.#sequence += requests.length);
    const messages = requests.map(({ type, flags: extra, body }, index) => {
      const ack = first + index === last ? flags.ack : 0;
      return writeMessage(type, flags.request | ack | extra, first + index, body);
    });
    send(this.#fd, messages.length === 1 ? messages[0]! : Buffer.concat(messages));
    let failure: SyscallError | undefined;
    for (;;) {
      const length = receive(this.#fd, buffer);
      for (const message of readMessages(buffer.subarray(0, length))) {
        const request = requests[message.sequence - first];
        if (request === undefined || message.type !== controlTypes.error) continue;
        const code = -message.body.readInt32LE(0);
        if (code !== 0 && !request.tolerated?.includes(code)) {
          failure ??= new SyscallError(request.what, code);
        }
        if (message.sequence === last) return failure;
      }
    }
  }

  /** Body of the answer to a request for one thing; undefined where it fails with `absent`. */
  #ask(type: number, body: Buffer, absent: number): Buffer | undefined {
    const sequence = ++this.#sequence;
    send(this.#fd, writeMessage(type, flags.request, sequence, body));
    for (;;) {
      const length = receive(this.#fd, buffer);
      for (const message of readMessages(buffer.subarray(0, length))) {
        if (message.sequence !== sequence) continue;
        if (message.type !== controlTypes.error) return Buffer.from(message.body);
        const code = -message.body.readInt32LE(0);
        if (code !== absent) throw new SyscallError(`netlink get ${type}`, code);
        return undefined;
      }
    }
  }

  /** Bodies of all answers to a request for everything of a kind. */
  dump(type: number, body: Buffer): Buffer[] {
    const sequence = ++this.#sequence;
    send(this.#fd, writeMessage(type, flags.request | flags.dump, sequence, body));
    const found: Buffer[] = [];
    for (;;) {
      const length = receive(this.#fd, buffer);
      for (const message of readMessages(buffer.subarray(0, length))) {
        if (message.sequence !== sequence) continue;
        if (message.type === controlTypes.done) return found;
        if (message.type === controlTypes.error) {
          throw new SyscallError(`netlink dump ${type}`, -message.body.readInt32LE(0));
        }
        found.push(Buffer.from(message.body));
      }
    }
  }
}

function familyOf(which: 'ipv4' | 'all'): number {
  return which === 'ipv4' ? families.inet : families.unspecified;
}
