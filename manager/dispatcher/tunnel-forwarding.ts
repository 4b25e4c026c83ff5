/** Tunnels from a manager that does not lead: the leader reaches the node, and passes bytes on. */
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TunnelReach } from '../../gen/tunnel_pb.js';
import { SwarmError } from '../../lib/errors.ts';
import {
  piecesOf,
  PieceSocket,
  type CallContext,
  type ClientOf,
  type HandlersOf,
} from '../../lib/grpc/index.ts';
import type { TunnelBroker } from './tunnel-broker.ts';

/** What the leader answers to other managers; to be registered with `allow: 'managers'`. */
export function serveTunnelReach(
  broker: Pick<TunnelBroker, 'open'>,
): HandlersOf<typeof TunnelReach, CallContext> {
  return {
    async reach(stream, { signal }) {
      const iterator = stream.incoming[Symbol.asyncIterator]();
      const first = await iterator.next();
      const nodeId = first.done === true ? '' : first.value.nodeId;
      const node = await broker.open(nodeId, { signal });
      try {
        await stream.send({ piece: {} });
        const manager = new PieceSocket({
          incoming: piecesOf(iterator),
          send: (piece) => stream.send({ piece }),
          close: () => undefined,
        });
        await Promise.all([pipeline(manager, node, { end: true }), pipeline(node, manager)]);
      } catch (error) {
        // The node's own reason says more than that of the pipe that it broke.
        throw SwarmError.from(node.errored ?? error);
      } finally {
        node.destroy();
      }
    },
  };
}

/** A connection to the node by way of the leader, as TunnelBroker gives its own. */
export async function forwardedTunnel(
  leader: ClientOf<typeof TunnelReach>,
  nodeId: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Duplex> {
  const call = leader.reach(signal === undefined ? {} : { signal });
  const iterator = call.incoming[Symbol.asyncIterator]();
  try {
    await call.send({ nodeId });
    const { done } = await iterator.next();
    if (done === true) throw new SwarmError('unavailable', 'the leader has ended the connection');
  } catch (error) {
    call.cancel();
    throw error;
  }
  return new PieceSocket({
    incoming: piecesOf(iterator),
    send: (piece) => call.send({ piece }),
    close: (whole) => (whole ? call.end() : call.cancel()),
  });
}
