/**
 * A socket held on a published port, so that no other program takes the port or believes it free.
 * Whoever comes to the socket itself, past the rules, is turned away, but for clients of IPv6 whom
 * no rule can lead: those of ::1, and all of them where the container has IPv4 alone.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { Ipv6Clients, streamsMax } from '../mesh/index.ts';
import { holdSctpPort } from '../sctp.ts';
import type { PortLead } from './ruleset.ts';

export type PublishedPort = Omit<PortLead, 'address'>;

/** Where a port leads; empty: nowhere, as while its container is on no network. */
export interface Target {
  address: string;
}

export interface HoldDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Rejects with EADDRINUSE where another program has the port. */
export async function hold(
  { protocol, hostIp: host, hostPort: port, containerPort }: PublishedPort,
  target: Target,
  { clock, log }: HoldDeps,
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
