/** For tests: a network without hosts, on which datagrams arrive at once, or not at all. */
import type { Udp } from './udp.ts';

type Listener = (bytes: Uint8Array, answer: (bytes: Uint8Array) => void) => void;

export interface TestNetwork {
  udp: Udp;
  /** All that was sent to everybody, and how many answers. */
  readonly sent: { readonly port: number; readonly bytes: Uint8Array }[];
  answers: number;
  isUp: boolean;
}

export function testNetwork(): TestNetwork {
  const listeners = new Map<number, Set<Listener>>();
  const network: TestNetwork = {
    sent: [],
    answers: 0,
    isUp: true,
    udp: {
      async listen(port, onDatagram) {
        const there = listeners.get(port) ?? new Set();
        listeners.set(port, there.add(onDatagram));
        return { [Symbol.asyncDispose]: async () => void there.delete(onDatagram) };
      },
      async ask(onAnswer) {
        let isOpen = true;
        return {
          async everybody(port, bytes) {
            network.sent.push({ port, bytes });
            if (!network.isUp) throw new Error('the network is down');
            for (const listener of listeners.get(port) ?? []) {
              listener(bytes, (answer) => {
                network.answers += 1;
                if (isOpen) onAnswer(answer);
              });
            }
          },
          [Symbol.asyncDispose]: async () => {
            isOpen = false;
          },
        };
      },
    },
  };
  return network;
}
