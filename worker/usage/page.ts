/** Reads a container's page of metrics from within its network, as a neighbour process would. */
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import { http } from '../../lib/node-http.ts';
import { inNamespace } from '../network/namespace.ts';
import { internetSocket } from '../network/syscalls.ts';
import { CounterSum } from './exposition.ts';

interface CounterPage {
  /** The container's network namespace. */
  readonly netnsPath: string;
  readonly port: number;
  readonly path: string;
  readonly counter: string;
}

/** Pages of large exporters are some hundred kilobytes. */
const bytesMax = 4 * 1024 * 1024;
const loopbacks = [
  { host: '127.0.0.1', family: 4 },
  { host: '::1', family: 6 },
] as const;

/**
 * What the counter stands at. Throws SwarmError with what is wrong, or the signal's reason. Only
 * the part of the page that is at hand is kept in memory; redirections are not followed.
 */
export async function readCounter(
  page: CounterPage,
  { signal }: { readonly signal: AbortSignal },
): Promise<number> {
  for (const { host, family } of loopbacks) {
    try {
      return await read(page, host, family, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // Some listen on one of both families alone, and some hosts have but one.
      if (!['ECONNREFUSED', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errnoOf(error) ?? '')) {
        throw told(error, page);
      }
    }
  }
  const what = `nothing listens on port ${page.port} of its loopback address`;
  throw new SwarmError('unavailable', what);
}

function told(error: unknown, { path }: CounterPage): SwarmError {
  if (error instanceof SwarmError) return new SwarmError(error.code, `${path} ${error.message}`);
  return new SwarmError('unavailable', `${path} cannot be read: ${messageOf(error)}`);
}

async function read(
  { netnsPath, port, path, counter }: CounterPage,
  host: string,
  family: 4 | 6,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = http.request({
    host,
    port,
    path,
    signal,
    headers: { accept: 'text/plain;version=0.0.4', 'accept-encoding': 'identity' },
    createConnection: () => {
      const fd = inNamespace(netnsPath, () => internetSocket('tcp', family));
      return new Socket({ fd }).connect({ host, port });
    },
  });
  outgoing.once('response', resolve);
  outgoing.on('error', reject);
  try {
    outgoing.end();
    const response = await promise;
    if (response.statusCode !== 200) {
      throw new SwarmError('unavailable', `answers HTTP ${response.statusCode}`);
    }
    // All that is looked for is ASCII, and so no letter is ever cut in two.
    response.setEncoding('latin1');
    const sum = new CounterSum(counter);
    let bytes = 0;
    for await (const text of response as AsyncIterable<string>) {
      bytes += text.length;
      if (bytes > bytesMax) throw new SwarmError('resource-exhausted', 'is longer than 4 MiB');
      sum.push(text);
    }
    return sum.end();
  } finally {
    outgoing.destroy();
  }
}
