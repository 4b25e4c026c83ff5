/**
 * Ports of this host that lead to standalone containers: rules in an nft table of their own, and a
 * socket held on each, so that no other program takes the port or believes it free.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { assertSctpTracked, holdSctpPort } from '../network/sctp.ts';
import { offersIpv6 } from '../network/settings.ts';
import type { PortRequest } from './port-requests.ts';
import { anywhereFor, element, emptyTables } from './port-rules.ts';
import type { BoundPort } from './view.ts';

/** Where ports are taken from that nobody has chosen. */
const dynamic = { first: 49_153, last: 65_535 } as const;

type Published = Required<BoundPort>;

/** Where a port leads; empty: nowhere. */
interface Target {
  address: string;
}

interface Holding {
  readonly port: Published;
  readonly address: string;
  /** The same for the socket, which outlives the container's moves. */
  readonly target: Target;
  readonly socket: AsyncDisposable;
}

interface PublishedPortsDeps {
  readonly log: Logger;
  /** Who else on this host has published the port: tasks, whose ports no socket is held on. */
  readonly ownerOf: (protocol: string, port: number) => string | undefined;
  /** Carries out a script of nft's. */
  readonly nft: (script: string) => Promise<void>;
}

export class PublishedPorts implements AsyncDisposable {
  readonly #deps: PublishedPortsDeps;
  readonly #held = new Map<string, readonly Holding[]>();
  #nextDynamic: number = dynamic.first;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: PublishedPortsDeps) {
    this.#deps = deps;
  }

  /** Makes the table anew: what a former daemon published is published again by `adopt`. */
  async start(
    adopted: readonly {
      readonly id: string;
      readonly address: string;
      readonly ports: readonly BoundPort[];
    }[],
  ): Promise<void> {
    const rules: string[] = [];
    for (const { id, address, ports } of adopted) {
      const published = ports.filter(isPublished);
      if (published.length === 0) continue;
      const held: Holding[] = [];
      for (const port of published) {
        if (address !== '') rules.push(`add ${element(port, address)}`);
        const target = { address };
        held.push({ port, address, target, socket: await this.#heldAgain(port, target) });
      }
      this.#held.set(id, held);
    }
    await this.#inTurn(() => this.#deps.nft([emptyTables(offersIpv6()), ...rules].join('\n')));
  }

  of(id: string): readonly BoundPort[] {
    return (this.#held.get(id) ?? []).map(({ port }) => port);
  }

  /** Throws SwarmError `aborted` in Docker's words when a port is taken. */
  async publish(
    id: string,
    address: string,
    requests: readonly PortRequest[],
  ): Promise<readonly BoundPort[]> {
    if (requests.length === 0) return [];
    if (requests.some(({ protocol }) => protocol === 'sctp')) assertSctpTracked();
    const holdings: Holding[] = [];
    try {
      for (const request of requests) {
        const target = { address };
        const { port, socket } = await this.#take(request, target);
        holdings.push({ port, address, target, socket });
      }
      await this.#inTurn(() =>
        this.#deps.nft(holdings.map(({ port }) => `add ${element(port, address)}`).join('\n')),
      );
    } catch (error) {
      for (const { socket } of holdings) await socket[Symbol.asyncDispose]();
      throw error;
    }
    this.#held.set(id, holdings);
    return holdings.map(({ port }) => port);
  }

  /** The container has another address: the same ports lead there, or nowhere where it is empty. */
  async move(id: string, address: string): Promise<void> {
    const before = this.#held.get(id);
    if (before === undefined) return;
    // Where the container has come to the other family, they lead nowhere.
    const after = before.map((holding) => {
      const isSame = isSameFamily(holding.port.hostIp, address);
      return { ...holding, address: isSame ? address : '' };
    });
    for (const holding of after) holding.target.address = holding.address;
    const lines = [
      ...before.filter(isSomewhere).map((one) => `delete ${element(one.port, one.address)}`),
      ...after.filter(isSomewhere).map((one) => `add ${element(one.port, one.address)}`),
    ];
    this.#held.set(id, after);
    if (lines.length > 0) await this.#inTurn(() => this.#deps.nft(lines.join('\n')));
  }

  /** One that has published nothing is not an error. */
  async withdraw(id: string): Promise<void> {
    const holdings = this.#held.get(id);
    if (holdings === undefined) return;
    this.#held.delete(id);
    const led = holdings.filter(isSomewhere);
    if (led.length > 0) {
      await this.#inTurn(() =>
        this.#deps.nft(
          led.map(({ port, address }) => `delete ${element(port, address)}`).join('\n'),
        ),
      );
    }
    for (const { socket } of holdings) await socket[Symbol.asyncDispose]();
  }

  /** Rules stay: the containers run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const holdings of this.#held.values()) {
      for (const { socket } of holdings) await socket[Symbol.asyncDispose]();
    }
    this.#held.clear();
    await Promise.allSettled([this.#last]);
  }

  async #take(
    request: PortRequest,
    target: Target,
  ): Promise<{ port: Published; socket: AsyncDisposable }> {
    const { containerPort, protocol } = request;
    const hostIp = request.hostIp || anywhereFor(target.address);
    refuseOtherFamily(hostIp, target.address);
    const isDynamic = request.first === 0;
    const candidates = isDynamic ? this.#dynamicPorts() : between(request.first, request.last);
    for (const hostPort of candidates) {
      const owner = this.#deps.ownerOf(protocol, hostPort);
      if (owner !== undefined) continue;
      try {
        const socket = await hold({ containerPort, protocol, hostIp, hostPort }, target);
        if (isDynamic) this.#nextDynamic = hostPort + 1;
        return { port: { containerPort, protocol, hostIp, hostPort }, socket };
      } catch (error) {
        if (errnoOf(error) === 'EADDRINUSE') continue;
        if (errnoOf(error) !== 'EADDRNOTAVAIL') throw error;
        throw new SwarmError(
          'aborted',
          `failed to bind host port for ${shown(hostIp)}:${hostPort}: cannot assign requested address`,
          { cause: error },
        );
      }
    }
    throw new SwarmError(
      'aborted',
      isDynamic
        ? 'Bind failed: all ports are allocated'
        : `Bind for ${shown(hostIp)}:${request.first} failed: port is already allocated`,
    );
  }

  *#dynamicPorts(): Iterable<number> {
    const from = this.#nextDynamic > dynamic.last ? dynamic.first : this.#nextDynamic;
    yield* between(from, dynamic.last);
    yield* between(dynamic.first, from - 1);
  }

  async #heldAgain(port: Published, target: Target): Promise<AsyncDisposable> {
    try {
      return await hold(port, target);
    } catch (error) {
      const { hostIp, hostPort } = port;
      this.#deps.log.warn('a published port is in use by another program as well', {
        hostIp,
        hostPort,
        error: messageOf(error),
      });
      return { [Symbol.asyncDispose]: () => Promise.resolve() };
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** Ports are held also while their container is on no network. */
function isSomewhere({ address }: Holding): boolean {
  return address !== '';
}

function isPublished(port: BoundPort): port is Published {
  return port.hostIp !== undefined && port.hostPort !== undefined;
}

function* between(first: number, last: number): Iterable<number> {
  for (let port = first; port <= last; port++) yield port;
}

function shown(hostIp: string): string {
  return hostIp.includes(':') ? `[${hostIp}]` : hostIp;
}

function isSameFamily(hostIp: string, address: string): boolean {
  return hostIp.includes(':') === address.includes(':');
}

/** Ports are translated, which never leads from one protocol of the internet to the other. */
function refuseOtherFamily(hostIp: string, address: string): void {
  if (isSameFamily(hostIp, address)) return;
  const family = address.includes(':') ? 'IPv6' : 'IPv4';
  throw new SwarmError(
    'invalid-argument',
    `ports cannot be published on ${hostIp}: the container leaves by ${family}; leave the host's ` +
      `address out, or name one of ${family}`,
  );
}

/**
 * Whoever comes to the socket itself, past the rules, is turned away; but no rule can lead away
 * what comes from this host by ::1, which is carried on to the container.
 */
async function hold(
  { protocol, hostIp: host, hostPort: port, containerPort }: Published,
  target: Target,
): Promise<AsyncDisposable> {
  const isIpv6 = host.includes(':');
  if (protocol === 'sctp') {
    const fd = holdSctpPort(isIpv6 ? 6 : 4, { address: host, port });
    return { [Symbol.asyncDispose]: async () => closeSync(fd) };
  }
  if (protocol === 'udp') {
    const socket = isIpv6 ? createSocket({ type: 'udp6', ipv6Only: true }) : createSocket('udp4');
    socket.bind({ port, address: host, exclusive: true });
    await once(socket, 'listening');
    socket.unref();
    return {
      [Symbol.asyncDispose]: () => new Promise((resolve) => void socket.close(() => resolve())),
    };
  }
  const carried = new Set<Socket>();
  const server = createServer({ allowHalfOpen: isIpv6 }, (socket) => {
    if (!isIpv6 || target.address === '') {
      socket.destroy();
      return;
    }
    carried.add(socket);
    socket.once('close', () => carried.delete(socket));
    carry(socket, { host: target.address, port: containerPort });
  });
  server.listen({ port, host, exclusive: true, ipv6Only: isIpv6 });
  await once(server, 'listening');
  server.unref();
  return {
    [Symbol.asyncDispose]: () => {
      for (const socket of carried) socket.destroy();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
}

/** Both ways, until either end is broken or both have ended. */
function carry(socket: Socket, to: { readonly host: string; readonly port: number }): void {
  const inner = connect({ ...to, allowHalfOpen: true });
  const broken = () => {
    socket.destroy();
    inner.destroy();
  };
  for (const end of [socket, inner]) end.on('error', broken);
  socket.once('close', broken);
  socket.pipe(inner);
  inner.pipe(socket);
}
