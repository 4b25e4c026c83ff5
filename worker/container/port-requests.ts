/** What `-p` and `-P` ask for, read from a container's documents. Pure. */
import { isIPv4, isIPv6 } from 'node:net';
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerDocument, HostDocument } from '../../types/index.ts';
import { canonicalAddress } from '../network/netlink/wire.ts';

export interface PortRequest {
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** Empty where any address of the host will do. */
  readonly hostIp: string;
  /** The first of these that is free; 0 to 0: any. */
  readonly first: number;
  readonly last: number;
}

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
