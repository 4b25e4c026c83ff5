/** Whether a port of this host is free: a program that listens on it would lose its traffic. */
import { createSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { createServer } from 'node:net';
import { assert } from '../../lib/assert.ts';
import { errnoOf, SwarmError } from '../../lib/errors.ts';
import type { PortConfig } from '../../types/index.ts';
import { assertSctpTracked, holdSctpPort } from './sctp.ts';

const maxPort = 65_535;

/**
 * Throws SwarmError `already-exists`, and `failed-precondition` for what the kernel
 * cannot translate. `meshOwner`: the service that has it on every node.
 */
export async function assertPortFree(
  { protocol, publishedPort = 0 }: PortConfig,
  meshOwner?: string,
): Promise<void> {
  if (meshOwner !== undefined) {
    throw new SwarmError(
      'already-exists',
      `port ${publishedPort}/${protocol} of this host is published by the service ${meshOwner} on ` +
        'every node: publish another port',
    );
  }
  assert(publishedPort > 0 && publishedPort <= maxPort, 'a published port has been chosen');
  if (protocol === 'sctp') assertSctpTracked();
  try {
    await probes[protocol](publishedPort);
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error;
    throw new SwarmError(
      'already-exists',
      `port ${publishedPort}/${protocol} of this host is in use by another program: stop it or ` +
        'publish another port',
      { cause: error },
    );
  }
}

const probes = { tcp: probeTcp, udp: probeUdp, sctp: probeSctp } as const;

async function probeSctp(port: number): Promise<void> {
  closeSync(holdSctpPort(4, { address: '0.0.0.0', port }));
}

function probeTcp(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once('error', reject);
  server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve()));
  return promise;
}

function probeUdp(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = createSocket('udp4');
  socket.once('error', reject);
  socket.bind({ port, address: '0.0.0.0', exclusive: true }, () => socket.close(() => resolve()));
  return promise;
}
