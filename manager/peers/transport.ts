/** Raft's transport between managers, over the cluster port. */
import type { Raft as RaftService } from '../../gen/raft_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { CallContext, Connection, HandlersOf } from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Message, NodeId, Transport } from '../../raft/index.ts';
import { decodeMessage } from './codec.ts';
import { Peer } from './peer.ts';

/** The largest state that is taken from another manager, bytes. */
const maxSnapshotBytes = 1 << 30;

export interface PeerTransportParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Connects with this node's certificate. */
  readonly connect: (addr: string) => Connection;
  readonly ownAddr: () => string;
  /** Where a manager is according to the store. */
  readonly addrOf: (id: NodeId) => string | undefined;
}

export interface Receiver {
  receive(message: Message, snapshotData?: Uint8Array): void;
  reportUnreachable(id: NodeId): void;
  /** The last connection from this manager broke. */
  reportLost(id: NodeId): void;
}

export class PeerTransport implements Transport, AsyncDisposable {
  readonly #parts: PeerTransportParts;
  readonly #peers = new Map<NodeId, Peer>();
  /** Of those that are members no more: what they still do ends soon. */
  readonly #ending = new Set<Promise<void>>();
  /** Heard from the managers themselves, with what the store said then. */
  readonly #heard = new Map<NodeId, { readonly addr: string; readonly stored?: string }>();
  /** How many streams there are from each manager: a new one may come before the old one ends. */
  readonly #streams = new Map<NodeId, number>();
  #receiver: Receiver | undefined;

  constructor(parts: PeerTransportParts) {
    this.#parts = parts;
  }

  /** Messages that come before are lost, as on a network. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const peers = [...this.#peers.values()];
    this.#peers.clear();
    await Promise.all([...this.#ending, ...peers.map((peer) => peer[Symbol.asyncDispose]())]);
  }

  /**
   * For a leader, whose members these are. What waits to be said to others must not reach them if
   * they begin anew: they would take it for word of a log that they have lost.
   */
  forgetOthers(members: readonly NodeId[]): void {
    for (const [id, peer] of this.#peers) {
      if (members.includes(id)) continue;
      this.#peers.delete(id);
      const ending = peer[Symbol.asyncDispose]();
      this.#ending.add(ending);
      void ending.then(() => this.#ending.delete(ending));
    }
  }

  send(message: Message): void {
    this.#peer(message.to).send(message);
  }

  async sendSnapshot(message: Message & { type: 'snapshot' }, data: Uint8Array): Promise<void> {
    await this.#peer(message.to).sendSnapshot(message, data);
  }

  /** Tells these managers where this one is: whoever starts need not wait until it is asked. */
  greet(ids: readonly NodeId[]): void {
    for (const id of ids) this.#peer(id).greet();
  }

  /** A manager has called from there, or was found there. */
  isAt(id: NodeId, addr: string): void {
    const stored = this.#parts.addrOf(id);
    this.#heard.set(id, stored === undefined ? { addr } : { addr, stored });
    this.#peers.get(id)?.isAt(addr);
  }

  /** Where a manager said it is, unless the store has heard of another place since. */
  addrOf(id: NodeId): string | undefined {
    const heard = this.#heard.get(id);
    const stored = this.#parts.addrOf(id);
    if (heard === undefined) return stored;
    return stored === undefined || stored === heard.stored ? heard.addr : stored;
  }

  get handlers(): HandlersOf<typeof RaftService, CallContext> {
    return {
      exchange: async (batches, context) => {
        const from = senderOf(context);
        this.#streams.set(from, (this.#streams.get(from) ?? 0) + 1);
        try {
          let addr = '';
          for await (const { messages, fromAddr } of batches) {
            if (fromAddr !== addr) this.isAt(from, fromAddr);
            addr = fromAddr;
            for (const wire of messages) this.#deliver(from, decodeMessage(wire));
          }
        } finally {
          this.#streamEnded(from);
        }
        return {};
      },
      installSnapshot: async (chunks, context) => {
        const from = senderOf(context);
        let message: Message | undefined;
        const parts: Uint8Array[] = [];
        let bytes = 0;
        for await (const chunk of chunks) {
          if (chunk.message !== undefined) message = decodeMessage(chunk.message);
          bytes += chunk.data.length;
          if (bytes > maxSnapshotBytes) {
            throw new SwarmError(
              'resource-exhausted',
              `a snapshot is over ${maxSnapshotBytes} bytes`,
            );
          }
          parts.push(chunk.data);
        }
        if (message?.type !== 'snapshot') {
          throw new SwarmError('invalid-argument', 'a snapshot came without its message');
        }
        this.#deliver(from, message, Buffer.concat(parts));
        return {};
      },
    };
  }

  #streamEnded(from: NodeId): void {
    const left = (this.#streams.get(from) ?? 1) - 1;
    if (left > 0) {
      this.#streams.set(from, left);
      return;
    }
    this.#streams.delete(from);
    this.#receiver?.reportLost(from);
  }

  /** A manager speaks for itself only, and only to this one. */
  #deliver(from: NodeId, message: Message, snapshotData?: Uint8Array): void {
    if (message.from !== from) {
      throw new SwarmError(
        'permission-denied',
        `manager ${from} sent a message in the name of ${message.from}`,
      );
    }
    this.#receiver?.receive(message, snapshotData);
  }

  #peer(id: NodeId): Peer {
    const present = this.#peers.get(id);
    if (present !== undefined) return present;
    const { clock, random, log, connect, ownAddr } = this.#parts;
    const peer = new Peer({
      clock,
      random,
      log: log.child({ peer: id }),
      ownAddr,
      connect: () => {
        const addr = this.addrOf(id);
        return addr === undefined ? undefined : connect(addr);
      },
      onUnreachable: () => this.#receiver?.reportUnreachable(id),
    });
    this.#peers.set(id, peer);
    return peer;
  }
}

function senderOf(context: CallContext): NodeId {
  const { peer } = context;
  if (peer === undefined) throw new SwarmError('unauthenticated', 'raft is for managers only');
  return peer.nodeId;
}
