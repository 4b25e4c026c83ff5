/** Datagrams to all hosts of the networks that this one is on: they go no further than those. */
import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { SwarmError } from '../errors.ts';

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

/** All hosts of a network hear it, without having asked to, and no router passes it on. */
export const groupAddr = '224.0.0.1';

/** Networks of this host's own making, of containers: no manager is there. */
const ownNetworks = /^(docker|br-|veth|vx|ts-swarm|virbr)/;

/** This host's address on each of its networks. */
export function localNetworks(interfaces = networkInterfaces()): readonly string[] {
  return Object.entries(interfaces).flatMap(([name, addresses]) => {
    if (ownNetworks.test(name)) return [];
    const found = (addresses ?? []).find(({ family, internal }) => family === 'IPv4' && !internal);
    return found === undefined ? [] : [found.address];
  });
}

export const localUdp: Udp = {
  async listen(port, onDatagram) {
    // Bound to the group's address: what is sent to this host alone does not come here.
    const socket = await bound(port, groupAddr);
    socket.on('message', (bytes, { address, port: from }) => {
      // A datagram that is lost is asked for again.
      onDatagram(bytes, (answer) => socket.send(answer, from, address, () => undefined));
    });
    return disposable(socket);
  },

  async ask(onAnswer) {
    const socket = await bound(0, '0.0.0.0');
    socket.setMulticastTTL(1);
    socket.on('message', (bytes) => onAnswer(bytes));
    return {
      ...disposable(socket),
      async everybody(port, bytes) {
        const failures: unknown[] = [];
        const networks = localNetworks();
        for (const network of networks) {
          try {
            socket.setMulticastInterface(network);
            await send(socket, port, bytes);
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

function bound(port: number, address: string): Promise<Socket> {
  // Several daemons of one host may hear what is sent to all.
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => {
      socket.off('error', reject);
      // What the network says of an answer that nobody waits for any more.
      socket.on('error', () => undefined);
      socket.unref();
      resolve(socket);
    });
  });
}

function send(socket: Socket, port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(bytes, port, groupAddr, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function disposable(socket: Socket): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        socket.close(() => resolve());
      }),
  };
}
