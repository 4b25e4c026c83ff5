/** Requests to an Engine API on a unix socket, or to an address. */
import { request, type IncomingMessage } from 'node:http';

export interface HttpResult {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

interface HttpTarget {
  readonly socketPath?: string;
  /** http://address:port, when there is no socket. */
  readonly origin?: string;
}

interface HttpOptions {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** A minute unless told. */
  readonly timeoutMs?: number;
}

/** Any answer is a result, whatever its status. Rejects when there is none in time. */
export function http(
  target: HttpTarget,
  path: string,
  options: HttpOptions = {},
): Promise<HttpResult> {
  const { method = 'GET', body, headers = {}, timeoutMs = 60_000 } = options;
  const { promise, resolve, reject } = Promise.withResolvers<HttpResult>();
  const { socketPath, origin = 'http://localhost' } = target;
  const where = `${method} ${socketPath ?? origin}${path}`;
  const timer = setTimeout(() => {
    outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  const failed = (error: Error) => {
    clearTimeout(timer);
    reject(new Error(`${where}: ${error.message}`, { cause: error }));
  };
  const outgoing = request(
    new URL(path, origin),
    { method, headers, agent: false, ...(socketPath === undefined ? {} : { socketPath }) },
    (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', failed);
      incoming.on('end', () => {
        clearTimeout(timer);
        resolve({
          status: incoming.statusCode ?? 0,
          body: Buffer.concat(chunks).toString(),
          headers: incoming.headers,
        });
      });
    },
  );
  outgoing.on('error', failed);
  outgoing.end(body);
  return promise;
}
