/**
 * Leads clients of IPv6 on by a socket of ours: where this node carries the mesh by IPv4 only, from
 * the socket that holds the published port; where a task listens on IPv4 only, in its own
 * container; and from ::1, which no rule can translate, to standalone containers.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { Socket } from 'node:net';
import type { Clock, Timer } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { inNamespace } from '../namespace.ts';
import { internetSocket } from '../syscalls.ts';

const connectTimeoutMs = 10_000;
/** Of the datagrams of one client. */
const idleMs = 60_000;
const datagramClientsMax = 1024;
export const streamsMax = 4096;

interface Ipv6ClientsDeps {
  /** Of both ends; empty: the daemon's own. */
  readonly netnsPath: string;
  /** Where they are led on to; empty: nowhere, as long as it is. */
  readonly to: string;
  /** What is seen of them there; absent: what the kernel chooses. */
  readonly from?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Ipv6Clients implements Disposable {
  readonly #deps: Ipv6ClientsDeps;
  readonly #streams = new Set<Socket>();
  readonly #flows = new Set<DatagramFlows>();

  constructor(deps: Ipv6ClientsDeps) {
    this.#deps = deps;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#streams) socket.destroy();
    for (const flows of this.#flows) flows[Symbol.dispose]();
  }

  /** Leads a connection to the port on; one of IPv4 means that the mesh is not in place. */
  stream(client: Socket, port: number): void {
    if (!isIpv6(client.remoteAddress)) {
      client.destroy();
      return;
    }
    const fd = this.#open('tcp');
    if (fd === undefined) {
      client.resetAndDestroy();
      return;
    }
    const way = new Socket({ fd, allowHalfOpen: true });
    for (const [one, other] of [
      [client, way],
      [way, client],
    ] as const) {
      this.#streams.add(one);
      one.once('close', () => this.#streams.delete(one));
      one.once('error', () => other.resetAndDestroy());
    }
    way.setTimeout(connectTimeoutMs, () => way.destroy(new Error('nobody has answered')));
    way.connect({ host: this.#deps.to, port }, () => {
      way.setTimeout(0);
      client.pipe(way);
      way.pipe(client);
    });
  }

  /** Leads the datagrams that come to `socket` on, and their answers back, until it closes. */
  datagrams(socket: UdpSocket, port: number): void {
    const flows = new DatagramFlows(socket, port, {
      to: () => this.#deps.to,
      clock: this.#deps.clock,
      open: () => this.#open('udp'),
    });
    this.#flows.add(flows);
    socket.once('close', () => {
      this.#flows.delete(flows);
      flows[Symbol.dispose]();
    });
  }

  /** Undefined where there is none to be had: too many are open. */
  #open(protocol: 'tcp' | 'udp'): number | undefined {
    const { netnsPath, to, from: address, log } = this.#deps;
    if (to === '') return undefined;
    const bindTo = address === undefined ? undefined : { address, port: 0 };
    const open = () => internetSocket(protocol, to.includes(':') ? 6 : 4, bindTo);
    try {
      return netnsPath === '' ? open() : inNamespace(netnsPath, open);
    } catch (error) {
      log.warn('a client of IPv6 was not led on', { protocol, error: messageOf(error) });
      return undefined;
    }
  }
}

interface Flow {
  readonly way: UdpSocket;
  readonly to: string;
  timer: Timer;
}

interface FlowsDeps {
  readonly to: () => string;
  readonly clock: Clock;
  readonly open: () => number | undefined;
}

/** Of one port. */
class DatagramFlows implements Disposable {
  readonly #socket: UdpSocket;
  readonly #port: number;
  readonly #deps: FlowsDeps;
  /** By the client's address and port; who was heard of last comes last. */
  readonly #flows = new Map<string, Flow>();

  constructor(socket: UdpSocket, port: number, deps: FlowsDeps) {
    this.#socket = socket;
    this.#port = port;
    this.#deps = deps;
    socket.on('message', (bytes, client) => this.#lead(bytes, client));
  }

  [Symbol.dispose](): void {
    for (const key of this.#flows.keys()) this.#end(key);
  }

  #lead(bytes: Buffer, client: RemoteInfo): void {
    if (!isIpv6(client.address)) return;
    const key = `${client.address} ${client.port}`;
    const before = this.#flows.get(key);
    if (before !== undefined && before.to !== this.#deps.to()) this.#end(key);
    const flow = this.#flows.get(key) ?? this.#begin(key, client);
    if (flow === undefined) return;
    flow.timer.cancel();
    flow.timer = this.#deps.clock.after(idleMs, () => this.#end(key));
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    flow.way.send(bytes, this.#port, flow.to);
  }

  #begin(key: string, { address, port }: RemoteInfo): Flow | undefined {
    const [oldest] = this.#flows.keys();
    if (this.#flows.size >= datagramClientsMax && oldest !== undefined) this.#end(oldest);
    const to = this.#deps.to();
    const fd = this.#deps.open();
    if (fd === undefined) return undefined;
    const way = createSocket(to.includes(':') ? 'udp6' : 'udp4');
    way.bind({ fd });
    way.unref();
    way.on('message', (answer) => this.#socket.send(answer, port, address));
    // Nobody answers there: as datagrams go, its client is not told.
    way.on('error', () => this.#end(key));
    return { way, to, timer: this.#deps.clock.after(idleMs, () => this.#end(key)) };
  }

  #end(key: string): void {
    const flow = this.#flows.get(key);
    if (flow === undefined) return;
    this.#flows.delete(key);
    flow.timer.cancel();
    flow.way.close();
  }
}

function isIpv6(address = ''): boolean {
  return address.includes(':') && !address.startsWith('::ffff:');
}
