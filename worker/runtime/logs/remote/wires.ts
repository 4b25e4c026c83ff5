/** The ways to servers of logs: opened, written to, and given up when they do not take anything. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../../../lib/clock.ts';
import { errnoOf, SwarmError } from '../../../../lib/errors.ts';
import type { SyslogAddress } from '../../../../types/index.ts';
import type { RemoteLogConfig, SyslogConfig } from './config.ts';
import { UnixDatagram } from './unix-datagram.ts';

export interface Wire {
  /** Resolves when it has left. Rejects when the way is no more. */
  send(bytes: Uint8Array): Promise<void>;
  close(): void;
}

export const journalSocket = '/run/systemd/journal/socket';
const localSockets = ['/dev/log', '/var/run/syslog', '/var/run/log'];
const patienceMs = 10_000;
const retryMs = 50;

export function openWire(config: RemoteLogConfig, clock: Clock, socket: string): Promise<Wire> {
  return config.kind === 'journald' ? datagrams([socket], clock) : openSyslog(config, clock);
}

async function openSyslog({ address, tls }: SyslogConfig, clock: Clock): Promise<Wire> {
  switch (address.kind) {
    case 'local':
      return datagrams(localSockets, clock);
    case 'unixgram':
      return datagrams([address.path], clock);
    case 'unix':
      try {
        return await stream(connect(address.path), clock);
      } catch (error) {
        // What listens there takes datagrams, as /dev/log mostly does.
        if (errnoOf(error) !== 'EPROTOTYPE') throw error;
        return datagrams([address.path], clock);
      }
    case 'udp':
      return packets(address);
    case 'tcp':
      return stream(connect({ host: address.host, port: address.port }), clock);
    default: {
      const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(read));
      const { host, port } = address;
      const options = { host, port, servername: host, rejectUnauthorized: !tls.isUnverified };
      const socket = connectTls({
        ...options,
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
      });
      return stream(socket, clock, 'secureConnect');
    }
  }
}

async function read(path: string | undefined): Promise<Buffer | undefined> {
  return path === undefined ? undefined : readFile(path);
}

async function stream(socket: Socket, clock: Clock, opened = 'connect'): Promise<Wire> {
  let failure: Error | undefined;
  socket.on('error', (error) => (failure = error));
  socket.on('close', () => (failure ??= new SwarmError('unavailable', 'the server hung up')));
  // A server says nothing; what it says all the same must not fill our memory.
  socket.resume();
  const late = () => {
    socket.destroy(new SwarmError('deadline-exceeded', 'the server does not take anything'));
  };
  const timer = clock.after(patienceMs, late);
  try {
    await once(socket, opened);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    timer.cancel();
  }
  return {
    async send(bytes) {
      if (failure !== undefined) throw failure;
      const left = Promise.withResolvers<void>();
      const sending = clock.after(patienceMs, late);
      socket.write(bytes, (error) => {
        if (error) left.reject(error);
        else left.resolve();
      });
      try {
        await left.promise;
      } finally {
        sending.cancel();
      }
    },
    close: () => socket.destroy(),
  };
}

async function packets({ host, port }: Extract<SyslogAddress, { host: string }>): Promise<Wire> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  let failure: Error | undefined;
  // Said by the host of the server after the fact: nobody listens there.
  socket.on('error', (error) => (failure = error));
  try {
    const opened = once(socket, 'connect');
    socket.connect(port, host);
    await opened;
  } catch (error) {
    socket.close();
    throw error;
  }
  let isClosed = false;
  return {
    async send(bytes) {
      if (isClosed) throw closed();
      if (failure !== undefined) throw failure;
      const left = Promise.withResolvers<void>();
      socket.send(bytes, (error) => {
        if (error) left.reject(error);
        else left.resolve();
      });
      await left.promise;
    },
    close() {
      if (!isClosed) socket.close();
      isClosed = true;
    },
  };
}

async function datagrams(paths: readonly string[], clock: Clock): Promise<Wire> {
  const socket = firstOf(paths);
  let isClosed = false;
  return {
    async send(bytes) {
      if (isClosed) throw closed();
      for (let waitedMs = 0; !socket.send(bytes); waitedMs += retryMs) {
        if (waitedMs >= patienceMs) {
          throw new SwarmError('deadline-exceeded', 'the server does not take anything');
        }
        await clock.sleep(retryMs);
        if (isClosed) throw closed();
      }
    },
    close() {
      if (!isClosed) socket[Symbol.dispose]();
      isClosed = true;
    },
  };
}

function closed(): SwarmError {
  return new SwarmError('cancelled', 'the way to the server is closed');
}

function firstOf(paths: readonly string[]): UnixDatagram {
  let last: unknown;
  for (const path of paths) {
    try {
      return new UnixDatagram(path);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}
