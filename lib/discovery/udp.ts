/** Datagrams to all hosts of the networks that this one is on: they go no further than those. */
import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { errnoOf, SwarmError } from '../errors.ts';

export interface Udp {
  /** Hears what is sent to everybody on this port; `answer` goes to the sender alone. */
  listen(
    port: number,
    onDatagram: (bytes: Uint8Array, answer: (bytes: Uint8Array) => void) => void,
  ): Promise<Listening>;
  ask(onAnswer: (bytes: Uint8Array) => void): Promise<Asking>;
}

export type Listening = AsyncDisposable;

export interface Asking extends AsyncDisposable {
  /** Sends to all hosts of all networks. Throws where it could be sent on none. */
  everybody(port: number, bytes: Uint8Array): Promise<void>;
}

/** All hosts of a network hear these, without having asked to, and no router passes them on. */
const allHosts = { udp4: '224.0.0.1', udp6: 'ff02::1' } as const;
type Family = keyof typeof allHosts;

/** Networks of this host's own making, of containers: no manager is there. */
const ownNetworks = /^(docker|br-|veth|vx|ts-swarm|virbr)/;

/** Where a datagram to all hosts is to go out: by IPv4 an own address, by IPv6 an interface. */
interface LocalNetwork {
  readonly family: Family;
  readonly way: string;
}

function localNetworks(interfaces = networkInterfaces()): readonly LocalNetwork[] {
  return Object.entries(interfaces).flatMap(([name, all]): LocalNetwork[] => {
    if (ownNetworks.test(name)) return [];
    const addresses = (all ?? []).filter(({ internal }) => !internal);
    const v4 = addresses.find(({ family }) => family === 'IPv4');
    const v6 = addresses.find(({ family, address }) => {
      return family === 'IPv6' && address.startsWith('fe80:');
    });
    return [
      ...(v4 === undefined ? [] : [{ family: 'udp4', way: v4.address } as const]),
      ...(v6 === undefined ? [] : [{ family: 'udp6', way: name } as const]),
    ];
  });
}

export const localUdp: Udp = {
  async listen(port, onDatagram) {
    // By IPv4 bound to the group's address: what is sent to this host alone does not come here.
    const sockets = await both({ udp4: [port, allHosts.udp4], udp6: [port, '::'] });
    for (const socket of sockets.values()) {
      socket.on('message', (bytes, { address, port: from }) => {
        // A datagram that is lost is asked for again.
        onDatagram(bytes, (answer) => socket.send(answer, from, address, () => undefined));
      });
    }
    return disposable(sockets);
  },

  async ask(onAnswer) {
    const sockets = await both({ udp4: [0, '0.0.0.0'], udp6: [0, '::'] });
    for (const socket of sockets.values()) {
      socket.setMulticastTTL(1);
      socket.on('message', (bytes) => onAnswer(bytes));
    }
    return {
      ...disposable(sockets),
      async everybody(port, bytes) {
        const failures: unknown[] = [];
        const networks = localNetworks().filter(({ family }) => sockets.has(family));
        for (const network of networks) {
          try {
            await sendTo(network, sockets.get(network.family), port, bytes);
          } catch (error) {
            failures.push(error);
          }
        }
        if (failures.length < networks.length) return;
        throw new SwarmError('unavailable', 'no network could be asked for managers', {
          cause: failures[0],
        });
      },
    };
  },
};

/** IPv6 is left out where the host has none. */
async function both(
  binds: Readonly<Record<Family, readonly [port: number, address: string]>>,
): Promise<ReadonlyMap<Family, Socket>> {
  const sockets = new Map<Family, Socket>();
  sockets.set('udp4', await bound('udp4', ...binds.udp4));
  try {
    sockets.set('udp6', await bound('udp6', ...binds.udp6));
  } catch (error) {
    if (!['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(errnoOf(error) ?? '')) {
      await disposable(sockets)[Symbol.asyncDispose]();
      throw error;
    }
  }
  return sockets;
}

function bound(family: Family, port: number, address: string): Promise<Socket> {
  // Several daemons of one host may hear what is sent to all.
  const socket = createSocket({ type: family, reuseAddr: true, ipv6Only: family === 'udp6' });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, address, () => {
      socket.removeAllListeners('error');
      // What the network says of an answer that nobody waits for any more.
      socket.on('error', () => undefined);
      socket.unref();
      resolve(socket);
    });
  });
}

function sendTo(
  { family, way }: LocalNetwork,
  socket: Socket | undefined,
  port: number,
  bytes: Uint8Array,
): Promise<void> {
  if (family === 'udp4') socket?.setMulticastInterface(way);
  const address = family === 'udp4' ? allHosts.udp4 : `${allHosts.udp6}%${way}`;
  return new Promise((resolve, reject) => {
    socket?.send(bytes, port, address, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function disposable(sockets: ReadonlyMap<Family, Socket>): AsyncDisposable {
  const close = (socket: Socket) =>
    new Promise<void>((resolve) => {
      socket.close(() => resolve());
    });
  return {
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...sockets.values()].map(close));
    },
  };
}
