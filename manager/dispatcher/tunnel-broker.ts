/** Byte streams to nodes: a node is asked over its session, and opens the stream to the manager. */
import type { Duplex } from 'node:stream';
import type { CarryRequest, Tunnel } from '../../gen/tunnel_pb.js';
import { withAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { noteHandled, SwarmError } from '../../lib/errors.ts';
import {
  piecesOf,
  PieceSocket,
  type CallContext,
  type HandlersOf,
  type MessageStream,
  type Piece,
} from '../../lib/grpc/index.ts';
import type { Random } from '../../lib/random.ts';
import type { StoreView } from '../store/view.ts';
import type { Dispatcher } from './dispatcher.ts';

export interface TunnelBrokerParts {
  readonly store: Pick<StoreView, 'node'>;
  readonly dispatcher: Pick<Dispatcher, 'openTunnel' | 'onSession'>;
  readonly clock: Clock;
  readonly random: Random;
}

type CarryStream = MessageStream<CarryRequest, { piece: Piece }>;

/** One that was asked for, and the stream that the node has opened for it. */
interface Asked {
  readonly nodeId: string;
  readonly opened: PromiseWithResolvers<PieceSocket>;
  socket: PieceSocket | undefined;
}

const tunnelsMax = 1024;
const tunnelsOfNodeMax = 256;
/** A node that does not open the stream within this time is not waited for. */
const openTimeoutMs = 10_000;

export class TunnelBroker {
  readonly #parts: TunnelBrokerParts;
  readonly #asked = new Map<string, Asked>();

  constructor(parts: TunnelBrokerParts) {
    this.#parts = parts;
    parts.dispatcher.onSession((nodeId, connected) => {
      if (!connected) this.#lost(nodeId);
    });
  }

  /** To be registered with `allow: 'nodes'`. */
  readonly handlers: HandlersOf<typeof Tunnel, CallContext> = {
    carry: (stream, context) => this.#carry(stream, context),
  };

  /** How many are open, or about to be. */
  get count(): number {
    return this.#asked.size;
  }

  /**
   * A connection to what the node serves to managers. Throws `unavailable` where the node cannot be
   * asked, and `deadline-exceeded` where it does not answer. It is the caller's to destroy.
   */
  async open(nodeId: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Duplex> {
    const { clock, random, dispatcher } = this.#parts;
    this.#checkRoom(nodeId);
    const id = random.id();
    const asked: Asked = { nodeId, opened: Promise.withResolvers(), socket: undefined };
    const { promise, reject } = asked.opened;
    this.#asked.set(id, asked);
    const timer = clock.after(openTimeoutMs, () =>
      reject(
        new SwarmError(
          'deadline-exceeded',
          `node ${this.#name(nodeId)} has not answered within ${openTimeoutMs / 1000} s`,
        ),
      ),
    );
    try {
      if (!dispatcher.openTunnel(nodeId, id)) throw this.#unavailable(nodeId);
      const socket = await withAbort(promise, signal);
      socket.once('close', () => this.#asked.delete(id));
      return socket;
    } catch (error) {
      this.#asked.delete(id);
      asked.socket?.destroy();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  #checkRoom(nodeId: string): void {
    const ofNode = [...this.#asked.values()].filter((asked) => asked.nodeId === nodeId).length;
    if (this.#asked.size < tunnelsMax && ofNode < tunnelsOfNodeMax) return;
    const where = ofNode < tunnelsOfNodeMax ? 'the nodes' : `node ${this.#name(nodeId)}`;
    const max = ofNode < tunnelsOfNodeMax ? tunnelsMax : tunnelsOfNodeMax;
    throw new SwarmError(
      'resource-exhausted',
      `${max} connections to ${where} are open already; try again later`,
    );
  }

  async #carry(stream: CarryStream, { peer, signal }: CallContext): Promise<void> {
    const iterator = stream.incoming[Symbol.asyncIterator]();
    const first = await iterator.next();
    const id = first.done === true ? '' : first.value.tunnelId;
    const asked = this.#asked.get(id);
    if (asked === undefined || asked.nodeId !== peer?.nodeId || asked.socket !== undefined) {
      throw new SwarmError('not-found', 'nobody asks for this tunnel any longer');
    }
    const socket = new PieceSocket({
      incoming: piecesOf(iterator),
      send: (piece) => stream.send({ piece }),
      close: () => undefined,
    });
    // Its user hears of a failure from the socket itself, or has gone.
    socket.on('error', () => undefined);
    const onOver = () => socket.destroy(SwarmError.from(signal.reason));
    signal.addEventListener('abort', onOver, { once: true });
    asked.socket = socket;
    asked.opened.resolve(socket);
    await socket.over;
    signal.removeEventListener('abort', onOver);
    if (socket.errored !== null) throw SwarmError.from(socket.errored);
    if (!socket.readableEnded) throw new SwarmError('cancelled', 'the user of the tunnel has gone');
  }

  /** What is open to a node that is gone ends now, and not only once its connection times out. */
  #lost(nodeId: string): void {
    for (const asked of this.#asked.values()) {
      if (asked.nodeId !== nodeId) continue;
      const reason = new SwarmError(
        'unavailable',
        `the connection to node ${this.#name(nodeId)} broke off`,
      );
      asked.opened.reject(reason);
      // Where nobody waits for it any more, nobody needs to be told.
      asked.opened.promise.catch(noteHandled);
      asked.socket?.destroy(reason);
    }
  }

  #unavailable(nodeId: string): SwarmError {
    const state = this.#parts.store.node(nodeId)?.status.state;
    const reason =
      state === undefined
        ? 'has been removed from the swarm'
        : state === 'down'
          ? 'is down'
          : 'is not connected to the managers';
    return new SwarmError('unavailable', `node ${this.#name(nodeId)} ${reason}`);
  }

  #name(nodeId: string): string {
    return this.#parts.store.node(nodeId)?.description?.hostname ?? nodeId;
  }
}
