/** A node's end of the managers' tunnels: what comes over them is served like a connection. */
import type { Duplex } from 'node:stream';
import { Tunnel } from '../../gen/tunnel_pb.js';
import { SwarmError, messageOf } from '../../lib/errors.ts';
import { piecesOf, PieceSocket, type Connection } from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';

interface TunnelEndParts {
  readonly connection: Connection;
  /** Serves a manager, which asks as a client of the API would. */
  readonly serve: (socket: Duplex) => void;
  readonly log: Logger;
  /** Breaks every tunnel off. */
  readonly signal: AbortSignal;
}

/** More than one manager may ask for. */
const tunnelsMax = 512;

export class TunnelEnd {
  readonly #parts: TunnelEndParts;
  #open = 0;

  constructor(parts: TunnelEndParts) {
    this.#parts = parts;
  }

  /** The manager waits for the tunnel of this name. */
  async take(id: string): Promise<void> {
    const { connection, serve, log, signal } = this.#parts;
    if (this.#open >= tunnelsMax) {
      log.warn('a tunnel was refused', { open: this.#open });
      return;
    }
    this.#open++;
    try {
      const call = connection.client(Tunnel).carry({ signal });
      await call.send({ tunnelId: id });
      const socket = new PieceSocket({
        incoming: piecesOf(call.incoming[Symbol.asyncIterator]()),
        send: (piece) => call.send({ piece }),
        close: (whole) => (whole ? call.end() : call.cancel()),
      });
      socket.on('error', (error) => log.debug('a tunnel broke off', { error: error.message }));
      serve(socket);
      await socket.over;
    } catch (error) {
      const { code } = SwarmError.from(error);
      log.debug('a tunnel could not be opened', { code, error: messageOf(error) });
    } finally {
      this.#open--;
    }
  }
}
