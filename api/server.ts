import { lstatSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, isIPv4, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Clock } from '../lib/clock.ts';
import { SwarmError, errnoOf, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { http } from '../lib/node-http.ts';
import type { Backend } from './backend.ts';
import { apiVersionMax } from './convert/info.ts';
import { httpStatus } from './errors.ts';
import { EventHub } from './event-hub.ts';
import { Exchange } from './exchange.ts';
import { readUpgrade, type Upgrade } from './hijack.ts';
import { Router, splitVersion } from './router.ts';
import { allRoutes, servedToManagers } from './routes/index.ts';

export interface ApiModules {
  readonly backend: Backend;
  readonly log: Logger;
  readonly clock: Clock;
}

export type ListenOptions =
  | { readonly unixSocket: string }
  | {
      readonly host: string;
      readonly port: number;
      /** Clients must show a certificate of `caPem`. Required but on a loopback address. */
      readonly tls?: { readonly certPem: string; readonly keyPem: string; readonly caPem: string };
    };

/** Bound to one address. Disposing it ends open streams and closes the connections. */
export interface ApiListener extends AsyncDisposable {
  /** Where it listens: a path, or host and the port that it got. */
  readonly address: string;
}

export interface ApiServer extends AsyncDisposable {
  /**
   * Throws `already-exists` when another process listens there, `invalid-argument` where everyone
   * on a network could command the daemon.
   */
  listen(options: ListenOptions): Promise<ApiListener>;
  /** Serves a manager on this connection: what it may ask of this node's tasks. */
  serveManager(socket: Duplex): void;
}

/** Owner and group may talk to the daemon; to be able to is to be root. */
const socketUmask = 0o117;
const maxConnections = 4096;
/** Longer than clients keep idle connections, so that it is they who close them. */
const keepAliveTimeoutMs = 600_000;
/** Between the end of open streams and the end of their connections. */
const closeGraceMs = 1_000;
/** How long a client may go on sending a request that has been refused. */
const lingerMs = 5_000;

/** The Docker Engine API over HTTP. Several listeners may share one. */
export function createApiServer(modules: ApiModules): ApiServer {
  const log = modules.log.child({ module: 'api' });
  const closing = new AbortController();
  const events = new EventHub({ ...modules, log });
  const router = new Router(allRoutes({ ...modules, log, events }));
  const common = { log, closing: closing.signal, modules };
  const listeners = new Set<AsyncDisposable>();
  const forManagers = serving(http.createServer({}), {
    ...common,
    router: new Router(servedToManagers({ ...modules, log, events })),
  });
  return {
    serveManager: (socket) => void forManagers.emit('connection', socket),
    async listen(options) {
      closing.signal.throwIfAborted();
      const server = serving(makeServer(options), { ...common, router });
      const address = await bind(server, options);
      const listener: ApiListener = {
        address,
        async [Symbol.asyncDispose]() {
          listeners.delete(listener);
          await close(server, modules.clock);
        },
      };
      listeners.add(listener);
      log.info('api listens', { address });
      return listener;
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new SwarmError('unavailable', 'the daemon is shutting down'));
      events[Symbol.dispose]();
      await Promise.all([...listeners].map((listener) => listener[Symbol.asyncDispose]()));
    },
  };
}

/** Answers what comes to the server. */
function serving(server: Server, common: Omit<Served, 'request' | 'response' | 'upgrade'>): Server {
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void serve({ ...common, request, response });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { log } = common;
    socket.on('error', (error) => log.debug('a connection broke off', { error: error.message }));
    void serveUpgrade({ ...common, request, socket, head });
  });
  // An image may take long to come in: only the headers are waited for with a limit.
  server.requestTimeout = 0;
  return server;
}

function makeServer(options: ListenOptions): Server {
  const common = { keepAliveTimeout: keepAliveTimeoutMs };
  const tls = 'host' in options ? options.tls : undefined;
  if ('host' in options && tls === undefined && !isLoopback(options.host)) {
    throw new SwarmError(
      'invalid-argument',
      `without client certificates, everyone who reaches ${options.host} would be root here: ` +
        'give a certificate, or listen on a unix socket or a loopback address',
    );
  }
  const server =
    tls === undefined
      ? http.createServer(common)
      : createTlsServer({
          ...common,
          cert: tls.certPem,
          key: tls.keyPem,
          ca: tls.caPem,
          requestCert: true,
          rejectUnauthorized: true,
        });
  server.maxConnections = maxConnections;
  return server;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

interface Served {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly router: Router;
  readonly log: Logger;
  readonly closing: AbortSignal;
  readonly modules: ApiModules;
  readonly upgrade?: Upgrade;
}

/**
 * A request that asks for another protocol. Those that stay with HTTP are answered as ever, and
 * their connection closes.
 */
async function serveUpgrade({
  socket,
  head,
  ...served
}: Omit<Served, 'response'> & { readonly socket: Duplex; readonly head: Buffer }): Promise<void> {
  const { request, log, closing, modules } = served;
  // A server does not count these among its connections any more.
  const onClosing = () => {
    const timer = modules.clock.after(closeGraceMs, () => socket.destroy());
    socket.once('close', () => timer.cancel());
  };
  closing.addEventListener('abort', onClosing, { once: true });
  socket.once('close', () => closing.removeEventListener('abort', onClosing));
  const response = new http.ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  response.once('finish', () => socket.end());
  try {
    const upgrade = await readUpgrade(request, socket, head);
    await serve({ ...served, response, upgrade });
  } catch (error) {
    log.debug('a request for an upgrade failed', { error: messageOf(error) });
    socket.destroy();
  }
}

/** Never throws: whatever goes wrong is the client's answer, and a bug is also a line in the log. */
async function serve(served: Served): Promise<void> {
  const { request, response, router, log, closing, modules, upgrade } = served;
  const { method = 'GET', url = '/' } = request;
  response.on('error', (error) => log.debug('a response broke off', { url, error: error.message }));
  response.setHeader('Server', `Docker/${modules.backend.system.version} (linux)`);
  response.setHeader('Api-Version', apiVersionMax);
  response.setHeader('Ostype', 'linux');
  response.setHeader('Docker-Experimental', 'false');
  const mark = url.indexOf('?');
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  let exchange: Exchange | undefined;
  try {
    const { minor, path } = splitVersion(mark < 0 ? url : url.slice(0, mark));
    const { route, params } = router.match(method, path);
    exchange = new Exchange({
      request,
      response,
      params,
      query,
      minor,
      closing,
      clock: modules.clock,
      ...(upgrade === undefined ? {} : { upgrade }),
    });
    await route.handle(exchange);
  } catch (thrown) {
    fail(thrown, { response, exchange, log, method, url, clock: modules.clock });
  } finally {
    exchange?.[Symbol.dispose]();
  }
}

interface Failed {
  readonly response: ServerResponse;
  readonly exchange: Exchange | undefined;
  readonly log: Logger;
  readonly method: string;
  readonly url: string;
  readonly clock: Clock;
}

function fail(thrown: unknown, failed: Failed): void {
  const { response, exchange, log, method, url, clock } = failed;
  if (response.destroyed || exchange?.clientGone === true) {
    log.debug('a client left before its answer', { method, url });
    return;
  }
  const error = SwarmError.from(thrown);
  if (error.code === 'internal') {
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    log.error('a request failed', { method, url, error: error.message, stack });
  } else {
    log.debug('a request was refused', { method, url, error: error.message });
  }
  if (!response.headersSent) {
    if (!response.req.complete) linger(response.req, clock);
    response.writeHead(httpStatus(error), { 'Content-Type': 'application/json' });
    response.end(`${JSON.stringify({ message: error.message })}\n`);
  } else if (exchange?.ending === true) {
    response.end();
  } else {
    // The status has been sent: only a broken connection still tells that something is missing.
    response.destroy();
  }
}

/**
 * A client that is still sending when its connection closes may never see the answer: what it sends
 * is thrown away for a while.
 */
function linger(request: IncomingMessage, clock: Clock): void {
  // Later, the request may have none any more: it is gone when its client is, or its reader.
  const socket = request.socket as IncomingMessage['socket'] | null;
  const timer = clock.after(lingerMs, () => socket?.destroy());
  for (const end of [request, socket]) end?.once('close', () => timer.cancel());
  request.resume();
}

async function bind(server: Server, options: ListenOptions): Promise<string> {
  if ('unixSocket' in options) {
    const { unixSocket } = options;
    await removeStale(unixSocket);
    // The socket is bound within the call, so that it never exists with wider permissions.
    const umask = process.umask(socketUmask);
    try {
      server.listen(unixSocket);
    } finally {
      process.umask(umask);
    }
    await listening(server, unixSocket);
    return unixSocket;
  }
  const { host, port } = options;
  server.listen(port, host);
  await listening(server, `${host}:${port}`);
  const bound = server.address();
  const actual = typeof bound === 'object' && bound !== null ? bound.port : port;
  return host.includes(':') ? `[${host}]:${actual}` : `${host}:${actual}`;
}

async function listening(server: Server, where: string): Promise<void> {
  try {
    await once(server, 'listening');
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') {
      throw new SwarmError('unavailable', `cannot listen on ${where}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw taken(where, error);
  }
}

/** A socket that nobody answers on is what a killed daemon left. */
async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new SwarmError('already-exists', `${path} is there, and is not a socket`);
  }
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    if (errnoOf(error) !== 'ECONNREFUSED') {
      throw new SwarmError('unavailable', `cannot listen on ${path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    rmSync(path);
    return;
  } finally {
    socket.destroy();
  }
  throw taken(path, undefined);
}

function taken(where: string, cause: unknown): SwarmError {
  return new SwarmError('already-exists', `another process already listens on ${where}`, { cause });
}

/** New connections are refused at once; those that are still busy get a moment to end. */
async function close(server: Server, clock: Clock): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const timer = clock.after(closeGraceMs, () => server.closeAllConnections());
  await closed;
  timer.cancel();
}
