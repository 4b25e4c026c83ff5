/**
 * Ports of this host that lead to containers of one kind: rules in netfilter, and a socket held on
 * each. What differs between the kinds is which ports they get unasked, and the words in which they
 * are told that there is none.
 */
import { errnoOf, messageOf, type SwarmError } from '../../../lib/errors.ts';
import { assertSctpTracked } from '../sctp.ts';
import { hold, type HoldDeps, type PublishedPort, type Target } from './hold.ts';
import type { PortLead } from './ruleset.ts';

export interface PortRequest {
  readonly containerPort: number;
  readonly protocol: PortLead['protocol'];
  /** Empty where any address of the host will do. */
  readonly hostIp: string;
  /** The first of these that is free; 0 to 0: any. */
  readonly first: number;
  readonly last: number;
}

/** Why a container does not get a port. */
export interface Conflict {
  /**
   * `taken` by `owner`, or else by a program; `full`: all are taken; `not-here`: it is no address of
   * the host; `unreachable`: no address of the container is reached from there.
   */
  readonly kind: 'taken' | 'full' | 'not-here' | 'unreachable';
  readonly request: PortRequest;
  readonly hostIp: string;
  readonly hostPort: number;
  /** The container that has the port, where one has it. */
  readonly owner: string | undefined;
  readonly cause?: unknown;
}

export interface PublisherOptions {
  /** Where ports are taken from that nobody has chosen. */
  readonly dynamic: { readonly first: number; readonly last: number };
  /** Those that are free again are given out last. */
  readonly rotates: boolean;
  readonly refusal: (conflict: Conflict) => SwarmError;
}

interface PublisherDeps extends HoldDeps {
  /** The host has IPv6. */
  readonly hasIpv6: boolean;
  readonly change: (gone: readonly PortLead[], come: readonly PortLead[]) => void;
  /** All that the publisher has is known from here on. */
  readonly adopted: (leads: readonly PortLead[]) => void;
  /** The container that has published the port, of whatever kind. */
  readonly ownerOf: (protocol: string, port: number) => string | undefined;
}

/** What a container of a former daemon has. */
interface Adopted {
  readonly id: string;
  readonly ports: readonly PublishedPort[];
  readonly addresses: readonly string[];
}

interface Holding {
  readonly port: PublishedPort;
  /** Outlives the container's moves. */
  readonly target: Target;
  readonly socket: AsyncDisposable;
}

export class PortPublisher {
  readonly #options: PublisherOptions;
  readonly #deps: PublisherDeps;
  readonly #held = new Map<string, Holding[]>();
  #nextDynamic: number;

  constructor(options: PublisherOptions, deps: PublisherDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#nextDynamic = options.dynamic.first;
  }

  /** What a former daemon has published is published again. Must come first, once. */
  async adopt(all: Iterable<Adopted>): Promise<void> {
    for (const { id, ports, addresses } of all) {
      const held: Holding[] = [];
      for (const port of ports) {
        // A record of all of the host's addresses names both families.
        if (isIpv6(port.hostIp) && !this.#deps.hasIpv6) continue;
        const target = { address: addressFor(port, addresses) };
        held.push({ port, target, socket: await this.#heldAgain(port, target) });
      }
      if (held.length > 0) this.#held.set(id, held);
    }
    this.#deps.adopted(this.leads());
  }

  of(id: string): readonly PublishedPort[] {
    return (this.#held.get(id) ?? []).map(({ port }) => port);
  }

  *owners(): Iterable<{ readonly owner: string; readonly port: PublishedPort }> {
    for (const [owner, holdings] of this.#held)
      for (const { port } of holdings) yield { owner, port };
  }

  leads(): readonly PortLead[] {
    return [...this.#held.values()].flatMap(leadsOf);
  }

  /**
   * `addresses`: the container's, at most one of each family; none: they are still to come, by
   * `move`. Rejects with the refusal when a port is taken.
   */
  async publish(
    id: string,
    addresses: readonly string[],
    requests: readonly PortRequest[],
  ): Promise<readonly PublishedPort[]> {
    if (requests.length === 0) return [];
    if (requests.some(({ protocol }) => protocol === 'sctp')) assertSctpTracked();
    const holdings: Holding[] = [];
    // From the first on, whoever else wants one of them is told whose it is.
    this.#held.set(id, holdings);
    try {
      for (const request of requests) await this.#take(request, addresses, holdings);
      this.#deps.change([], leadsOf(holdings));
    } catch (error) {
      this.#held.delete(id);
      await release(holdings);
      throw error;
    }
    return holdings.map(({ port }) => port);
  }

  /** The container has other addresses: the same ports lead there, or nowhere without any. */
  move(id: string, addresses: readonly string[]): void {
    const holdings = this.#held.get(id) ?? [];
    const before = leadsOf(holdings);
    for (const { port, target } of holdings) target.address = addressFor(port, addresses);
    this.#deps.change(before, leadsOf(holdings));
  }

  /** One that has published nothing is not an error. */
  async withdraw(id: string): Promise<void> {
    const holdings = this.#held.get(id);
    if (holdings === undefined) return;
    this.#held.delete(id);
    this.#deps.change(leadsOf(holdings), []);
    await release(holdings);
  }

  /** Rules stay: the containers run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const holdings of this.#held.values()) await release(holdings);
    this.#held.clear();
  }

  /** The same port of all of the host's families by which the container is reached. */
  async #take(request: PortRequest, addresses: readonly string[], into: Holding[]): Promise<void> {
    const hosts = this.#hostsFor(request, addresses);
    const isDynamic = request.first === 0;
    const candidates = isDynamic ? this.#dynamicPorts() : between(request.first, request.last);
    let owner: string | undefined;
    for (const hostPort of candidates) {
      const holdings = await this.#holdAll(request, hosts, { addresses, hostPort });
      if (holdings !== undefined) {
        into.push(...holdings);
        if (isDynamic && this.#options.rotates) this.#nextDynamic = hostPort + 1;
        return;
      }
      owner ??= this.#deps.ownerOf(request.protocol, hostPort);
    }
    throw this.#options.refusal({
      kind: isDynamic ? 'full' : 'taken',
      request,
      hostIp: hosts[0] ?? '',
      hostPort: request.first,
      owner,
    });
  }

  #hostsFor(request: PortRequest, addresses: readonly string[]): readonly string[] {
    const { protocol, hostIp, first } = request;
    // What has no address yet will have one of IPv4.
    const known = addresses.length === 0 ? ['0.0.0.0'] : addresses;
    const reaches = (host: string) => addressFor({ protocol, hostIp: host }, known) !== '';
    if (hostIp !== '') {
      if (reaches(hostIp)) return [hostIp];
      const where = { request, hostIp, hostPort: first };
      throw this.#options.refusal({ kind: 'unreachable', ...where, owner: undefined });
    }
    return (this.#deps.hasIpv6 ? ['0.0.0.0', '::'] : ['0.0.0.0']).filter(reaches);
  }

  /** Undefined where somebody has one of them. */
  async #holdAll(
    request: PortRequest,
    hosts: readonly string[],
    { addresses, hostPort }: { readonly addresses: readonly string[]; readonly hostPort: number },
  ): Promise<readonly Holding[] | undefined> {
    const { containerPort, protocol } = request;
    const holdings: Holding[] = [];
    for (const hostIp of hosts) {
      const port = { containerPort, protocol, hostIp, hostPort };
      const target = { address: addressFor(port, addresses) };
      try {
        // One of SCTP is for both families.
        const isHeld = protocol === 'sctp' && holdings.length > 0;
        const socket = isHeld ? nothing : await hold(port, target, this.#deps);
        holdings.push({ port, target, socket });
      } catch (error) {
        await release(holdings);
        if (errnoOf(error) === 'EADDRINUSE') return undefined;
        if (errnoOf(error) !== 'EADDRNOTAVAIL') throw error;
        const where = { request, hostIp, hostPort };
        throw this.#options.refusal({ kind: 'not-here', ...where, owner: undefined, cause: error });
      }
    }
    return holdings;
  }

  *#dynamicPorts(): Iterable<number> {
    const { first, last } = this.#options.dynamic;
    const from = this.#nextDynamic > last ? first : this.#nextDynamic;
    yield* between(from, last);
    yield* between(first, from - 1);
  }

  async #heldAgain(port: PublishedPort, target: Target): Promise<AsyncDisposable> {
    try {
      return await hold(port, target, this.#deps);
    } catch (error) {
      const { hostIp, hostPort } = port;
      this.#deps.log.warn('a published port is in use by another program as well', {
        hostIp,
        hostPort,
        error: messageOf(error),
      });
      return nothing;
    }
  }
}

const nothing: AsyncDisposable = { [Symbol.asyncDispose]: () => Promise.resolve() };

async function release(holdings: readonly Holding[]): Promise<void> {
  for (const { socket } of holdings) await socket[Symbol.asyncDispose]();
}

/** Those that rules lead: never from one protocol of the internet to the other. */
function leadsOf(holdings: readonly Holding[]): readonly PortLead[] {
  return holdings.flatMap(({ port, target: { address } }) =>
    address !== '' && isIpv6(address) === isIpv6(port.hostIp) ? [{ ...port, address }] : [],
  );
}

/** Empty where the container is not reached from the host's address. */
function addressFor(
  { protocol, hostIp }: Pick<PublishedPort, 'protocol' | 'hostIp'>,
  addresses: readonly string[],
): string {
  const same = addresses.find((address) => isIpv6(address) === isIpv6(hostIp));
  if (same !== undefined) return same;
  // Clients of IPv6 are carried to a container that has IPv4 alone, but for those of SCTP.
  return isIpv6(hostIp) && protocol !== 'sctp' ? (addresses[0] ?? '') : '';
}

function isIpv6(address: string): boolean {
  return address.includes(':');
}

function* between(first: number, last: number): Iterable<number> {
  for (let port = first; port <= last; port++) yield port;
}
