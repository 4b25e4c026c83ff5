/** What `-p` and `-P` ask for, read from a container's documents, and why it is refused. Pure. */
import { isIPv4, isIPv6 } from 'node:net';
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerDocument, HostDocument } from '../../types/index.ts';
import type { Conflict, PortRequest, PublishedPort, PublisherOptions } from '../network/index.ts';
import { canonicalAddress } from '../network/netlink/wire.ts';
import type { BoundPort, KeptPorts } from './view.ts';

/** How ports are published of standalone containers. */
export const dockerPorts: PublisherOptions = {
  dynamic: { first: 49_153, last: 65_535 },
  rotates: true,
  refusal,
};

interface ExposedPort {
  readonly containerPort: number;
  readonly protocol: PortRequest['protocol'];
}

const portMax = 65_535;

/** "80/tcp", or "80". Throws `invalid-argument`. */
export function parsePort(text: string): ExposedPort {
  const [, number = '', protocol = 'tcp'] = /^(\d+)(?:\/(\w+))?$/.exec(text) ?? [];
  const containerPort = Number(number);
  if (number === '' || containerPort < 1 || containerPort > portMax) {
    throw new SwarmError('invalid-argument', `invalid port specification: "${text}"`);
  }
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') {
    throw new SwarmError('invalid-argument', `invalid port specification: "${text}"`);
  }
  return { containerPort, protocol };
}

/** Throws `invalid-argument` for what is no port, range or address. */
export function portRequests(
  config: Pick<ContainerDocument, 'exposedPorts'>,
  host: Pick<HostDocument, 'portBindings' | 'publishAllPorts'>,
): readonly PortRequest[] {
  const bound = Object.entries(host.portBindings ?? {}).flatMap(([text, bindings]) => {
    const port = parsePort(text);
    // A port without bindings is published on any, as with -P.
    const given = bindings === null || bindings.length === 0 ? [anywhere] : bindings;
    return given.map(({ hostIp, hostPort }) => ({
      ...port,
      hostIp: addressOf(hostIp),
      ...rangeOf(hostPort),
    }));
  });
  if (!host.publishAllPorts) return bound;
  const isBound = ({ containerPort, protocol }: ExposedPort) =>
    bound.some((one) => one.containerPort === containerPort && one.protocol === protocol);
  const others = (config.exposedPorts ?? []).map(parsePort).filter((port) => !isBound(port));
  return [...bound, ...others.map((port) => ({ ...port, hostIp: '', first: 0, last: 0 }))];
}

const anywhere = { hostIp: '', hostPort: '' };

function addressOf(hostIp: string): string {
  if (hostIp === '' || isIPv4(hostIp)) return hostIp;
  const bare = hostIp.replace(/^\[(.*)\]$/, '$1');
  if (isIPv6(bare) && !bare.includes('%')) return canonicalAddress(bare);
  throw new SwarmError('invalid-argument', `invalid IP address of a published port: "${hostIp}"`);
}

function rangeOf(text: string): { first: number; last: number } {
  if (text === '') return { first: 0, last: 0 };
  const [, from = '', to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || first > portMax || last > portMax || last < first) {
    throw new SwarmError('invalid-argument', `invalid port specification: "${text}"`);
  }
  return { first, last };
}

/** What a container that runs had before this daemon came. */
export function publishedBefore({ ports, address = '', addresses }: KeptPorts): {
  readonly ports: readonly PublishedPort[];
  readonly addresses: readonly string[];
} {
  return {
    ports: ports.filter(isPublished),
    addresses: addresses ?? (address === '' ? [] : [address]),
  };
}

function isPublished(port: BoundPort): port is Required<BoundPort> {
  return port.hostIp !== undefined && port.hostPort !== undefined;
}

/** In Docker's words, where Docker has any. */
function refusal({ kind, hostIp, hostPort, cause }: Conflict): SwarmError {
  const isIpv6 = hostIp.includes(':');
  if (kind === 'unreachable') {
    const family = isIpv6 ? 'IPv4' : 'IPv6';
    return new SwarmError(
      'invalid-argument',
      `ports cannot be published on ${hostIp}: the container leaves by ${family}; leave the ` +
        `host's address out, or name one of ${family}`,
    );
  }
  const place = `${isIpv6 ? `[${hostIp}]` : hostIp}:${hostPort}`;
  const words = {
    full: 'Bind failed: all ports are allocated',
    taken: `Bind for ${place} failed: port is already allocated`,
    'not-here': `failed to bind host port for ${place}: cannot assign requested address`,
  } as const;
  return new SwarmError('aborted', words[kind], { cause });
}
