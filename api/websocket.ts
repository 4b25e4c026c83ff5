/** Connections that go on as WebSocket: what a browser can attach to a container with. */
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import type * as Ws from 'ws';
import type { WebSocket } from 'ws';
import type { Clock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { stallMs, type Hijacked, type Upgrade } from './hijack.ts';

// Loaded for the first browser that attaches.
const load = createRequire(import.meta.url);
const ws = () => load('ws') as typeof Ws;

/** What is typed or pasted at once is far below this. */
const maxMessageBytes = 4 * 1024 * 1024;

const server = () =>
  new (ws().WebSocketServer)({
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
  });

interface WebSocketOptions {
  readonly clock: Clock | undefined;
  /** Frames of text, as old clients expect them, in place of binary ones. */
  readonly asText: boolean;
}

/** Answers the handshake. Throws `invalid-argument` for a request that is none. */
export function openWebSocket(
  request: IncomingMessage,
  upgrade: Upgrade | undefined,
  options: WebSocketOptions,
): Hijacked {
  const { headers } = request;
  const isOne =
    headers.upgrade?.toLowerCase() === 'websocket' &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '') &&
    ['8', '13'].includes(headers['sec-websocket-version'] ?? '');
  if (upgrade === undefined || !isOne) {
    throw new SwarmError('invalid-argument', 'not websocket protocol');
  }
  refuseOthersPages(request);
  let client: Hijacked | undefined;
  server().handleUpgrade(request, upgrade.socket, upgrade.rest, (socket) => {
    client = hijacked(socket, options);
  });
  if (client !== undefined) return client;
  throw new SwarmError('cancelled', 'the client has gone away');
}

/** Browsers let every page open one to whatever they reach, the daemon on their own host too. */
function refuseOthersPages({ headers: { host = '', origin } }: IncomingMessage): void {
  const from = origin === undefined || !URL.canParse(origin) ? undefined : new URL(origin);
  if (from === undefined || !/^https?:$/.test(from.protocol) || from.host === host) return;
  if (['localhost', '127.0.0.1', '[::1]'].includes(from.hostname)) return;
  throw new SwarmError(
    'permission-denied',
    `pages of ${from.host} may not attach to containers of this daemon`,
  );
}

function hijacked(socket: WebSocket, { asText, clock }: WebSocketOptions): Hijacked {
  const stream = ws().createWebSocketStream(socket);
  // Whoever reads or writes hears of it; an error that nobody listens to would end the daemon.
  stream.on('error', () => undefined);
  return {
    input: stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
    write: (data) => send(socket, data, { asText, clock }),
    end: () => socket.close(1000),
  };
}

/** Resolves when the frame is on its way; throws `cancelled` when its reader has gone or stalls. */
function send(
  socket: WebSocket,
  data: Uint8Array,
  { asText, clock }: WebSocketOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (cause?: Error) =>
      new SwarmError('cancelled', 'the client has gone away', cause ? { cause } : {});
    if (socket.readyState !== socket.OPEN) {
      reject(gone());
      return;
    }
    const timer = clock?.after(stallMs, () => {
      reject(new SwarmError('cancelled', 'the client has stopped reading'));
      socket.terminate();
    });
    socket.send(data, { binary: !asText }, (error) => {
      timer?.cancel();
      if (error) reject(gone(error));
      else resolve();
    });
  });
}
