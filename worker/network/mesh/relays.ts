/**
 * Tasks whose programs listen on IPv4 alone: netfilter leads a client of IPv6 that finds no socket
 * in the container to one of these, from where it is led on by IPv4. Such a program could not be
 * shown the client's address in any way; it sees one that nobody else has.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { inNamespace } from '../namespace.ts';
import { be16, type SetElement } from '../nft/index.ts';
import { errno, internetSocket, SyscallError } from '../syscalls.ts';
import { Ipv6Clients, streamsMax } from './ipv6-clients.ts';
import { relayedFrom } from './names.ts';
import { portKey, type Target } from './ports.ts';

/** Below the range that the kernel gives to clients, as the resolver's. */
const firstPort = 32_100;
const portsTried = 512;

interface Relay {
  readonly target: Target;
  readonly port: number;
  readonly socket: Server | UdpSocket;
}

interface RelaysDeps {
  readonly netnsPath: string;
  /** The container's own on the mesh's network. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Of one container. */
export class Relays implements Disposable {
  readonly #deps: RelaysDeps;
  readonly #clients: Ipv6Clients;
  readonly #relays = new Map<string, Relay>();

  constructor(deps: RelaysDeps) {
    this.#deps = deps;
    const { netnsPath, ipv4 } = deps;
    this.#clients = new Ipv6Clients({ ...deps, netnsPath, to: ipv4, from: relayedFrom });
  }

  [Symbol.dispose](): void {
    this.#clients[Symbol.dispose]();
    for (const { socket } of this.#relays.values()) socket.close();
    this.#relays.clear();
  }

  /** Whether the elements are others than before. SCTP has no relays. */
  follow(targets: readonly Target[]): boolean {
    const wanted = new Map(
      targets.filter(({ protocol }) => protocol !== 'sctp').map((one) => [keyOf(one), one]),
    );
    let hasChanged = false;
    for (const [key, { socket }] of this.#relays) {
      if (wanted.has(key)) continue;
      socket.close();
      this.#relays.delete(key);
      hasChanged = true;
    }
    for (const [key, target] of wanted) {
      if (this.#relays.has(key)) continue;
      const relay = this.#open(target);
      if (relay === undefined) continue;
      this.#relays.set(key, relay);
      hasChanged = true;
    }
    return hasChanged;
  }

  /** Where netfilter is to lead, by the port that was asked. */
  get elements(): readonly SetElement[] {
    return [...this.#relays.values()].map(({ target, port }) => ({
      key: portKey(target),
      data: be16(port),
    }));
  }

  #open(target: Target): Relay | undefined {
    const { ipv6: address, netnsPath, log } = this.#deps;
    const used = new Set([...this.#relays.values()].map(({ port }) => port));
    const protocol = target.protocol === 'udp' ? 'udp' : 'tcp';
    for (let port = firstPort; port < firstPort + portsTried; port++) {
      if (used.has(port)) continue;
      try {
        const fd = inNamespace(netnsPath, () => internetSocket(protocol, 6, { address, port }));
        return { target, port, socket: this.#listen(fd, target) };
      } catch (error) {
        if (error instanceof SyscallError && error.errno === errno.addressInUse) continue;
        log.warn('clients of IPv6 cannot be led on to a task', {
          port: keyOf(target),
          error: messageOf(error),
        });
        return undefined;
      }
    }
    log.warn('a container has taken every port by which IPv6 could be led on', { netnsPath });
    return undefined;
  }

  #listen(fd: number, target: Target): Server | UdpSocket {
    const { log } = this.#deps;
    const failed = (error: Error) =>
      log.warn('a relay to a task failed', { port: keyOf(target), error: messageOf(error) });
    if (target.protocol === 'udp') {
      const socket = createSocket('udp6');
      socket.on('error', failed);
      socket.bind({ fd });
      socket.unref();
      this.#clients.datagrams(socket, target.port);
      return socket;
    }
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) =>
      this.#clients.stream(client, target.port),
    );
    server.on('error', failed);
    server.maxConnections = streamsMax;
    server.listen({ fd });
    server.unref();
    return server;
  }
}

function keyOf({ protocol, port }: Target): string {
  return `${port}/${protocol}`;
}
