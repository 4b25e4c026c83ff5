/**
 * Serves the metrics, and nothing else: to all who reach the port, to those who know a token, or
 * over TLS to those whose certificate the API's CA has signed.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { messageOf, SwarmError } from '../lib/errors.ts';
import { formatAddr, parseAddr } from '../lib/grpc/index.ts';
import { sameText } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import { http } from '../lib/node-http.ts';
import { metricsContentType, type Metrics } from '../lib/metrics.ts';

interface MetricsServer extends AsyncDisposable {
  readonly addr: string;
}

/** Who may read; with neither, everybody who reaches the port. */
interface MetricsReaders {
  /** A file with a token, which is read again for each request: it may be replaced at any time. */
  readonly tokenFile?: string;
  readonly tls?: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
}

const path = '/metrics';
const connectionsMax = 64;
const requestTimeoutMs = 10_000;

/** Throws SwarmError `unavailable` where the port is taken, `invalid-argument` without a token. */
export async function serveMetrics(
  addr: string,
  metrics: Metrics,
  log: Logger,
  readers: MetricsReaders = {},
): Promise<MetricsServer> {
  const { host, port } = parseAddr(addr);
  const { tls, tokenFile } = readers;
  if (tokenFile !== undefined) tokenIn(tokenFile);
  if (tls === undefined && tokenFile === undefined && !isLoopback(host)) {
    log.warn('metrics are served to all who reach the port', {
      addr,
      advice: 'use --metrics-token-file or --metrics-tls, or an address of 127.0.0.1',
    });
  }
  const listener = listenerFor(metrics, tokenFile, log);
  const options = { requestTimeout: requestTimeoutMs };
  const server =
    tls === undefined
      ? http.createServer(options, listener)
      : createTlsServer(
          {
            ...options,
            ca: tls.caPem,
            cert: tls.certPem,
            key: tls.keyPem,
            requestCert: true,
            rejectUnauthorized: true,
            minVersion: 'TLSv1.2',
          },
          listener,
        );
  server.maxConnections = connectionsMax;
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new SwarmError(
      'unavailable',
      `cannot serve metrics on ${addr}: ${messageOf(error)}; choose another with --metrics-addr`,
      { cause: error },
    );
  }
  const bound = formatAddr(host, (server.address() as AddressInfo).port);
  log.info('metrics are served', { addr: bound });
  return {
    addr: bound,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function listenerFor(
  metrics: Metrics,
  tokenFile: string | undefined,
  log: Logger,
): RequestListener {
  return (request, response) => {
    if (!mayRead(request, tokenFile, log)) {
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
      return;
    }
    if (request.url?.split('?')[0] !== path) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`look at ${path}\n`);
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    try {
      const text = metrics.text();
      response.writeHead(200, { 'content-type': metricsContentType });
      response.end(request.method === 'HEAD' ? undefined : text);
    } catch (error) {
      log.error('the metrics cannot be read', { error });
      response.writeHead(500).end();
    }
  };
}

function mayRead(request: IncomingMessage, tokenFile: string | undefined, log: Logger): boolean {
  if (tokenFile === undefined) return true;
  try {
    const [, given = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    return sameText(given, tokenIn(tokenFile));
  } catch (error) {
    log.error('nobody may read the metrics', { error: messageOf(error) });
    return false;
  }
}

function tokenIn(file: string): string {
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new SwarmError('invalid-argument', `--metrics-token-file: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (/^\S+$/.test(token)) return token;
  throw new SwarmError(
    'invalid-argument',
    `--metrics-token-file ${file} has to hold one token, without spaces in it`,
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
