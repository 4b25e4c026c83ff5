/** Requests about a container of another node: passed on to that node, and its answer back. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { messageOf, noteHandled, SwarmError } from '../lib/errors.ts';
import { http } from '../lib/node-http.ts';
import { apiVersionMax } from './convert/info.ts';
import { errorFrame, type LogStyle } from './convert/log-frame.ts';
import type { Exchange } from './exchange.ts';
import { writeTo } from './hijack.ts';
import { streamType } from './output-sink.ts';

interface RelayTarget {
  /** Without the API's version, and without the query, which is the client's own. */
  readonly path: string;
  /** For the sentences that say what went wrong. */
  readonly nodeName: string;
  /** Sees the answer as it passes, with its status. */
  readonly observe?: (status: number, chunk: Uint8Array) => void;
}

/** What belongs to this connection or is said by this server itself, and not to the answer. */
const ownHeaders = new Set([
  'api-version',
  'connection',
  'date',
  'docker-experimental',
  'keep-alive',
  'ostype',
  'server',
  'transfer-encoding',
  'upgrade',
]);
const framedType = 'application/vnd.docker.multiplexed-stream';
const rawType = 'application/vnd.docker.raw-stream';

/**
 * Answers the exchange with what the node says. Both directions go on only as fast as they are
 * read. A node that goes away in the middle of a stream of output ends it with a sentence.
 */
export async function relay(
  exchange: Exchange,
  node: Duplex,
  { path, nodeName, observe }: RelayTarget,
): Promise<void> {
  const broken = (error: unknown) =>
    new SwarmError(
      'unavailable',
      `the connection to node ${nodeName} broke off: ${wordsOf(error)}`,
      {
        cause: error,
      },
    );
  const onGone = () => node.destroy();
  exchange.signal.addEventListener('abort', onGone, { once: true });
  try {
    const { upgrade } = exchange;
    const query = exchange.query.toString();
    // The node's newest words: what they become for an older client is decided here.
    const sent = http.request({
      createConnection: () => node,
      method: exchange.request.method,
      path: `/v${apiVersionMax}${path}${query === '' ? '' : `?${query}`}`,
      headers: headersOf(exchange),
    });
    const answered = answerOf(sent);
    if (upgrade === undefined) await passBody(exchange, sent, answered);
    else sent.end(upgrade.body);
    const answer = await settle(answered, broken);
    if ('upgraded' in answer) await splice(exchange, answer, broken);
    else await passAnswer(exchange, answer.response, broken, observe);
  } finally {
    exchange.signal.removeEventListener('abort', onGone);
    node.destroy();
  }
}

type Answer =
  | { readonly response: IncomingMessage }
  | { readonly upgraded: Duplex; readonly head: Buffer; readonly response: IncomingMessage };

function answerOf(sent: ClientRequest): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  sent.on('response', (response) => resolve({ response }));
  sent.on('upgrade', (response, upgraded, head) => resolve({ upgraded, head, response }));
  sent.on('error', reject);
  // Also where the request's body breaks off before the answer is waited for.
  promise.catch(noteHandled);
  return promise;
}

async function settle<T>(promise: Promise<T>, broken: (error: unknown) => SwarmError): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw broken(error);
  }
}

/** What two who speak WebSocket agree about is between the client and the node. */
const handshakeHeaders = ['key', 'version', 'protocol', 'accept'].map(
  (name) => `sec-websocket-${name}`,
);

function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

function handshakeOf({ headers }: IncomingMessage): Record<string, string> {
  const given = handshakeHeaders.map((name) => [name, headers[name]] as const);
  return Object.fromEntries(given.flatMap(([k, v]) => (v === undefined ? [] : [[k, String(v)]])));
}

function headersOf({ request, upgrade }: Exchange): Record<string, string> {
  const type = request.headers['content-type'];
  const length = request.headers['content-length'];
  return {
    Host: 'node',
    ...(type === undefined ? {} : { 'Content-Type': type }),
    ...(upgrade === undefined
      ? {
          Connection: 'close',
          ...(length === undefined ? {} : { 'Content-Length': length }),
          ...(request.headers['transfer-encoding'] === undefined
            ? {}
            : { 'Transfer-Encoding': 'chunked' }),
        }
      : {
          Connection: 'Upgrade',
          Upgrade: isWebSocket(request) ? 'websocket' : 'tcp',
          ...handshakeOf(request),
          'Content-Length': String(upgrade.body.length),
        }),
  };
}

/** A node that answers before it has read all that the client sends is not sent the rest. */
async function passBody(
  { request, signal }: Exchange,
  sent: ClientRequest,
  answered: Promise<unknown>,
): Promise<void> {
  let isAnswered = false;
  const done = () => {
    isAnswered = true;
  };
  answered.then(done, done);
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    signal.throwIfAborted();
    if (isAnswered) break;
    try {
      await writeTo(sent, chunk as Buffer, undefined);
    } catch {
      // What broke it is told by the answer, or by its absence.
      break;
    }
  }
  sent.end();
}

async function passAnswer(
  exchange: Exchange,
  response: IncomingMessage,
  broken: (error: unknown) => SwarmError,
  observe: RelayTarget['observe'],
): Promise<void> {
  const status = response.statusCode ?? 500;
  const type = response.headers['content-type'] ?? '';
  const isFramed = type === framedType;
  const isOutput = isFramed || type === rawType;
  for (const [name, value] of Object.entries(response.headers)) {
    if (value === undefined || ownHeaders.has(name)) continue;
    if (name !== 'content-type') exchange.header(name, String(value));
  }
  exchange.beginWith(status, isOutput ? streamType(isFramed, exchange.minor) : type);
  try {
    await pass(response, (chunk) => {
      observe?.(status, chunk);
      return exchange.write(chunk);
    });
  } catch (thrown) {
    exchange.signal.throwIfAborted();
    const error = thrown instanceof ReadError ? broken(thrown.cause) : thrown;
    if (!isOutput || !(thrown instanceof ReadError)) throw error;
    await exchange.write(lastWords(error as SwarmError, isFramed));
  }
  exchange.end();
}

/** Two connections that have stopped being HTTP become one. */
async function splice(
  exchange: Exchange,
  { upgraded, head, response }: Extract<Answer, { upgraded: Duplex }>,
  broken: (error: unknown) => SwarmError,
): Promise<void> {
  const isFramed = response.headers['content-type'] === framedType;
  const inFrames = isWebSocket(response);
  const client = inFrames
    ? exchange.hijackWith({ Upgrade: 'websocket', ...handshakeOf(response) })
    : exchange.hijack(streamType(isFramed, exchange.minor));
  const typing = passInput(client.input, upgraded);
  try {
    if (head.length > 0) await client.write(head);
    await pass(upgraded, (chunk) => client.write(chunk));
  } catch (thrown) {
    if (exchange.signal.aborted) return;
    if (!(thrown instanceof ReadError)) throw thrown;
    // Words between frames would be none: a connection that breaks off says enough there.
    if (!inFrames) await client.write(lastWords(broken(thrown.cause), isFramed));
  }
  client.end();
  upgraded.destroy();
  await typing;
}

/** What the client types, until it ends its side or either end goes. */
async function passInput(input: AsyncIterable<Uint8Array>, node: Duplex): Promise<void> {
  try {
    for await (const chunk of input) await writeTo(node, chunk, undefined);
    node.end();
  } catch {
    // A client that breaks off has gone, and with it the command's input; a node that breaks off
    // ends the output, where it is told of.
    node.destroy();
  }
}

/** The reader's trouble, as against that of whom it is written to. */
class ReadError extends Error {}

async function pass(
  from: IncomingMessage | Duplex,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const chunks = from.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<unknown>;
    try {
      next = await chunks.next();
    } catch (error) {
      throw new ReadError('the node went away', { cause: error });
    }
    if (next.done === true) return;
    await write(next.value as Uint8Array);
  }
}

function lastWords({ message }: SwarmError, framed: boolean): Uint8Array {
  const style: LogStyle = { timestamps: false, details: false, framed };
  return framed ? errorFrame(message, style) : Buffer.from(`\r\n${message}\r\n`);
}

function wordsOf(error: unknown): string {
  const message = messageOf(error);
  return ['aborted', 'socket hang up', 'premature close'].includes(message.toLowerCase())
    ? 'it has closed it'
    : message;
}
