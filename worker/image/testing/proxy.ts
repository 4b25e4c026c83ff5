/** Stands before a real registry, counts what is asked, and misbehaves when told to. */
import { once } from 'node:events';
import { createServer, request as forward, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProxyRegistry extends AsyncDisposable {
  readonly host: string;
  readonly origin: string;
  /** "GET /v2/web/manifests/1" */
  readonly requests: string[];
  /** Ranges that were asked for, in order. */
  readonly ranges: string[];
  /** Answers in the registry's place when it returns true. */
  intercept: (request: string, response: ServerResponse) => boolean;
}

export async function startProxy(registry: { host: string }): Promise<ProxyRegistry> {
  const [hostname = '', port = ''] = registry.host.split(':');
  const server = createServer((incoming, response) => {
    const line = `${incoming.method} ${incoming.url}`;
    proxy.requests.push(line);
    if (incoming.headers.range !== undefined) proxy.ranges.push(incoming.headers.range);
    if (proxy.intercept(line, response)) {
      incoming.resume();
      return;
    }
    const { headers, method, url } = incoming;
    const outgoing = forward({ hostname, port, headers, method, path: url }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxy: ProxyRegistry = {
    host,
    origin: `http://${host}`,
    requests: [],
    ranges: [],
    intercept: () => false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
