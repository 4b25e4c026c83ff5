/**
 * Ports of this host that lead to standalone containers: rules in an nft table of their own, and a
 * socket held on each, so that no other program takes the port or believes it free.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { createServer } from 'node:net';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { assertSctpTracked, holdSctpPort } from '../network/sctp.ts';
import type { PortRequest } from './port-requests.ts';
import type { BoundPort } from './view.ts';

const table = 'ts_swarm_standalone';
const protocols = ['tcp', 'udp', 'sctp'] as const;
/** Where ports are taken from that nobody has chosen. */
const dynamic = { first: 49_153, last: 65_535 } as const;
const nftTimeoutMs = 10_000;
const maxErrorBytes = 4096;

type Published = Required<BoundPort>;

interface Holding {
  readonly port: Published;
  readonly address: string;
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
        held.push({ port, address, socket: await this.#heldAgain(port) });
      }
      this.#held.set(id, held);
    }
    await this.#inTurn(() =>
      this.#deps.nft(
        [`table ip ${table}`, `delete table ip ${table}`, ruleset, ...rules].join('\n'),
      ),
    );
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
        const { port, socket } = await this.#take(request);
        holdings.push({ port, address, socket });
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
    const after = before.map((holding) => ({ ...holding, address }));
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

  async #take(request: PortRequest): Promise<{ port: Published; socket: AsyncDisposable }> {
    const { containerPort, protocol, hostIp } = request;
    const isDynamic = request.first === 0;
    const candidates = isDynamic ? this.#dynamicPorts() : between(request.first, request.last);
    for (const hostPort of candidates) {
      const owner = this.#deps.ownerOf(protocol, hostPort);
      if (owner !== undefined) continue;
      try {
        const socket = await hold(protocol, hostIp, hostPort);
        if (isDynamic) this.#nextDynamic = hostPort + 1;
        return { port: { containerPort, protocol, hostIp, hostPort }, socket };
      } catch (error) {
        if (errnoOf(error) === 'EADDRINUSE') continue;
        if (errnoOf(error) !== 'EADDRNOTAVAIL') throw error;
        throw new SwarmError(
          'aborted',
          `failed to bind host port for ${hostIp}:${hostPort}: cannot assign requested address`,
          { cause: error },
        );
      }
    }
    throw new SwarmError(
      'aborted',
      isDynamic
        ? 'Bind failed: all ports are allocated'
        : `Bind for ${hostIp}:${request.first} failed: port is already allocated`,
    );
  }

  *#dynamicPorts(): Iterable<number> {
    const from = this.#nextDynamic > dynamic.last ? dynamic.first : this.#nextDynamic;
    yield* between(from, dynamic.last);
    yield* between(dynamic.first, from - 1);
  }

  async #heldAgain(port: Published): Promise<AsyncDisposable> {
    try {
      return await hold(port.protocol, port.hostIp, port.hostPort);
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

/** Whoever comes to the socket itself, past the rules, is turned away. */
async function hold(
  protocol: Published['protocol'],
  host: string,
  port: number,
): Promise<AsyncDisposable> {
  if (protocol === 'sctp') {
    const fd = holdSctpPort(4, { address: host, port });
    return { [Symbol.asyncDispose]: async () => closeSync(fd) };
  }
  if (protocol === 'udp') {
    const socket = createSocket('udp4');
    socket.bind({ port, address: host, exclusive: true });
    await once(socket, 'listening');
    socket.unref();
    return {
      [Symbol.asyncDispose]: () => new Promise((resolve) => void socket.close(() => resolve())),
    };
  }
  const server = createServer((socket) => socket.destroy());
  server.listen({ port, host, exclusive: true });
  await once(server, 'listening');
  server.unref();
  return {
    [Symbol.asyncDispose]: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

const ruleset = `table ip ${table} {
${protocols
  .map(
    (protocol) => `map ${protocol}_any { type inet_service : ipv4_addr . inet_service; }
map ${protocol}_at { type ipv4_addr . inet_service : ipv4_addr . inet_service; }`,
  )
  .join('\n')}
chain translate {
${protocols
  .map(
    (protocol) => `dnat ip addr . port to ip daddr . ${protocol} dport map @${protocol}_at
fib daddr type local dnat ip addr . port to ${protocol} dport map @${protocol}_any`,
  )
  .join('\n')}
}
chain raw { type filter hook prerouting priority raw; policy accept;
iifname != "lo" ip daddr 127.0.0.0/8 drop
}
chain prerouting { type nat hook prerouting priority dstnat; policy accept;
jump translate
}
chain output { type nat hook output priority -100; policy accept;
jump translate
}
chain postrouting { type nat hook postrouting priority srcnat; policy accept;
ip saddr 127.0.0.0/8 ct status dnat masquerade
}
}`;

function element({ protocol, hostIp, hostPort, containerPort }: Published, address: string) {
  const value = `${address} . ${containerPort}`;
  return hostIp === '0.0.0.0'
    ? `element ip ${table} ${protocol}_any { ${hostPort} : ${value} }`
    : `element ip ${table} ${protocol}_at { ${hostIp} . ${hostPort} : ${value} }`;
}

export async function runNft(script: string): Promise<void> {
  const child = spawn('nft', ['-f', '-'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    timeout: nftTimeoutMs,
  });
  let errors = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (chunk: string) => {
    errors = (errors + chunk).slice(0, maxErrorBytes);
  });
  child.stdin.on('error', (error) => {
    errors ||= error.message;
  });
  let code: number | null;
  try {
    const exit = once(child, 'close') as Promise<[number | null]>;
    child.stdin.end(`${script}\n`);
    [code] = await exit;
  } catch (cause) {
    throw new SwarmError(
      'failed-precondition',
      'cannot run nft: install the package nftables on this host',
      { cause },
    );
  }
  if (code === 0) return;
  const reason = errors.split('\n')[0] ?? '';
  throw new SwarmError('internal', `nft refused the port rules: ${reason || 'timed out'}`);
}
