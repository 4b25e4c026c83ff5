/** Serves the metrics, and nothing else. Without TLS: whoever reaches the port may read them. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, SwarmError } from '../lib/errors.ts';
import { formatAddr, parseAddr } from '../lib/grpc/index.ts';
import type { Logger } from '../lib/log.ts';
import { metricsContentType, type Metrics } from '../lib/metrics.ts';

interface MetricsServer extends AsyncDisposable {
  readonly addr: string;
}

const path = '/metrics';
const connectionsMax = 64;
const requestTimeoutMs = 10_000;

/** Throws SwarmError `unavailable` where the port is taken. */
export async function serveMetrics(
  addr: string,
  metrics: Metrics,
  log: Logger,
): Promise<MetricsServer> {
  const { host, port } = parseAddr(addr);
  const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
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
  });
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
