/**
 * Ports of this host that lead to standalone containers: rules that somebody else keeps, and a
 * socket held on each, so that no other program takes the port or believes it free.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { PortLead } from '../network/index.ts';
import { Ipv6Clients, streamsMax } from '../network/mesh/index.ts';
import { assertSctpTracked, holdSctpPort } from '../network/sctp.ts';
import type { PortRequest } from './port-requests.ts';
import type { BoundPort, KeptPorts } from './view.ts';

/** Where ports are taken from that nobody has chosen. */
const dynamic = { first: 49_153, last: 65_535 } as const;

/** Leads ports of this host to containers. */
export interface PortRules {
  /** All that is there from now on. */
  replace(leads: Iterable<PortLead>): void;
  change(gone: readonly PortLead[], come: readonly PortLead[]): void;
}

type Published = Required<BoundPort>;

/** Where a port leads; empty: nowhere, as while its container is on no network. */
interface Target {
  address: string;
}

interface Holding {
  readonly port: Published;
  /** Outlives the container's moves. */
  readonly target: Target;
  readonly socket: AsyncDisposable;
}

interface PublishedPortsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Who else on this host has published the port: tasks, whose ports no socket is held on. */
  readonly ownerOf: (protocol: string, port: number) => string | undefined;
  readonly rules: PortRules;
}

export class PublishedPorts implements AsyncDisposable {
  readonly #deps: PublishedPortsDeps;
  readonly #held = new Map<string, readonly Holding[]>();
  #nextDynamic: number = dynamic.first;

  constructor(deps: PublishedPortsDeps) {
    this.#deps = deps;
  }

  /** What a former daemon has published is published again. */
  async start(adopted: readonly (KeptPorts & { readonly id: string })[]): Promise<void> {
    for (const { id, ports, address = '', addresses = address ? [address] : [] } of adopted) {
      const held: Holding[] = [];
      for (const port of ports.filter(isPublished)) {
        const target = { address: addressFor(port.hostIp, addresses) };
        held.push({ port, target, socket: await this.#heldAgain(port, target) });
      }
      if (held.length > 0) this.#held.set(id, held);
    }
    this.#deps.rules.replace([...this.#held.values()].flatMap(leadsOf));
  }

  of(id: string): readonly BoundPort[] {
    return (this.#held.get(id) ?? []).map(({ port }) => port);
  }

  /**
   * `addresses`: the container's, at most one of each family. Throws SwarmError `aborted` in
   * Docker's words when a port is taken.
   */
  async publish(
    id: string,
    addresses: readonly string[],
    requests: readonly PortRequest[],
  ): Promise<readonly BoundPort[]> {
    if (requests.length === 0) return [];
    if (requests.some(({ protocol }) => protocol === 'sctp')) assertSctpTracked();
    const holdings: Holding[] = [];
    try {
      for (const request of requests) holdings.push(...(await this.#take(request, addresses)));
      this.#deps.rules.change([], leadsOf(holdings));
    } catch (error) {
      await release(holdings);
      throw error;
    }
    this.#held.set(id, holdings);
    return holdings.map(({ port }) => port);
  }

  /** The container has other addresses: the same ports lead there, or nowhere without any. */
  move(id: string, addresses: readonly string[]): void {
    const holdings = this.#held.get(id) ?? [];
    const before = leadsOf(holdings);
    for (const { port, target } of holdings) target.address = addressFor(port.hostIp, addresses);
    this.#deps.rules.change(before, leadsOf(holdings));
  }

  /** One that has published nothing is not an error. */
  async withdraw(id: string): Promise<void> {
    const holdings = this.#held.get(id);
    if (holdings === undefined) return;
    this.#held.delete(id);
    this.#deps.rules.change(leadsOf(holdings), []);
    await release(holdings);
  }

  /** Rules stay: the containers run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const holdings of this.#held.values()) await release(holdings);
    this.#held.clear();
  }

  /** The same port of all of the host's families by which the container is reached. */
  async #take(request: PortRequest, addresses: readonly string[]): Promise<readonly Holding[]> {
    const { protocol } = request;
    const hosts = request.hostIp === '' ? addresses.map(anywhereFor) : [request.hostIp];
    for (const hostIp of hosts) refuseOtherFamily(hostIp, addresses);
    const isDynamic = request.first === 0;
    const candidates = isDynamic ? this.#dynamicPorts() : between(request.first, request.last);
    for (const hostPort of candidates) {
      if (this.#deps.ownerOf(protocol, hostPort) !== undefined) continue;
      const holdings = await this.#holdAll(request, hosts, { addresses, hostPort });
      if (holdings === undefined) continue;
      if (isDynamic) this.#nextDynamic = hostPort + 1;
      return holdings;
    }
    throw new SwarmError(
      'aborted',
      isDynamic
        ? 'Bind failed: all ports are allocated'
        : `Bind for ${shown(hosts[0] ?? '')}:${request.first} failed: port is already allocated`,
    );
  }

  /** Undefined where another program has one of them. */
  async #holdAll(
    { containerPort, protocol }: PortRequest,
    hosts: readonly string[],
    { addresses, hostPort }: { readonly addresses: readonly string[]; readonly hostPort: number },
  ): Promise<readonly Holding[] | undefined> {
    const holdings: Holding[] = [];
    for (const hostIp of hosts) {
      const port = { containerPort, protocol, hostIp, hostPort };
      const target = { address: addressFor(hostIp, addresses) };
      try {
        holdings.push({ port, target, socket: await hold(port, target, this.#deps) });
      } catch (error) {
        await release(holdings);
        if (errnoOf(error) === 'EADDRINUSE') return undefined;
        if (errnoOf(error) !== 'EADDRNOTAVAIL') throw error;
        throw new SwarmError(
          'aborted',
          `failed to bind host port for ${shown(hostIp)}:${hostPort}: cannot assign requested address`,
          { cause: error },
        );
      }
    }
    return holdings;
  }

  *#dynamicPorts(): Iterable<number> {
    const from = this.#nextDynamic > dynamic.last ? dynamic.first : this.#nextDynamic;
    yield* between(from, dynamic.last);
    yield* between(dynamic.first, from - 1);
  }

  async #heldAgain(port: Published, target: Target): Promise<AsyncDisposable> {
    try {
      return await hold(port, target, this.#deps);
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
}

async function release(holdings: readonly Holding[]): Promise<void> {
  for (const { socket } of holdings) await socket[Symbol.asyncDispose]();
}

/** Ports are held also while their container is on no network, and lead nowhere then. */
function leadsOf(holdings: readonly Holding[]): readonly PortLead[] {
  return holdings.flatMap(({ port, target: { address } }) =>
    address === '' ? [] : [{ ...port, address }],
  );
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

/** What stands for any address of the host, for a container at this address. */
function anywhereFor(address: string): string {
  return address.includes(':') ? '::' : '0.0.0.0';
}

/** Ports are translated, which never leads from one protocol of the internet to the other. */
function addressFor(hostIp: string, addresses: readonly string[]): string {
  return addresses.find((address) => address.includes(':') === hostIp.includes(':')) ?? '';
}

function refuseOtherFamily(hostIp: string, addresses: readonly string[]): void {
  if (addressFor(hostIp, addresses) !== '') return;
  const family = hostIp.includes(':') ? 'IPv4' : 'IPv6';
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
  { clock, log }: Pick<PublishedPortsDeps, 'clock' | 'log'>,
): Promise<AsyncDisposable> {
  const isIpv6 = host.includes(':');
  if (protocol === 'sctp') {
    const fd = holdSctpPort(isIpv6 ? 6 : 4, { address: host, port });
    return { [Symbol.asyncDispose]: async () => closeSync(fd) };
  }
  const carried = new Ipv6Clients({
    netnsPath: '',
    get to() {
      return target.address;
    },
    clock,
    log,
  });
  if (protocol === 'udp') {
    const socket = isIpv6 ? createSocket({ type: 'udp6', ipv6Only: true }) : createSocket('udp4');
    socket.bind({ port, address: host, exclusive: true });
    await once(socket, 'listening');
    socket.unref();
    if (isIpv6) carried.datagrams(socket, containerPort);
    return {
      [Symbol.asyncDispose]: () => new Promise((resolve) => void socket.close(() => resolve())),
    };
  }
  const server = createServer({ allowHalfOpen: isIpv6, pauseOnConnect: isIpv6 }, (client) => {
    if (isIpv6) carried.stream(client, containerPort);
    else client.destroy();
  });
  server.maxConnections = streamsMax;
  server.listen({ port, host, exclusive: true, ipv6Only: isIpv6 });
  await once(server, 'listening');
  server.unref();
  return {
    [Symbol.asyncDispose]: () => {
      carried[Symbol.dispose]();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
}
