/** A question to a driver of storage, by way of the node that has it. */
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { errorCodes, messageOf, SwarmError, type ErrorCode } from '../lib/errors.ts';
import { http } from '../lib/node-http.ts';
import type { CsiReply, CsiRequest } from '../types/index.ts';

interface Reply extends CsiReply {
  readonly error?: { readonly code: string; readonly message: string };
}

/** Throws what the driver says; `unavailable` where nobody knows whether it was asked. */
export async function askCsi(
  node: Duplex,
  request: CsiRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<CsiReply> {
  try {
    const { error, ...reply } = JSON.parse(
      await post(node, JSON.stringify(request), signal),
    ) as Reply;
    if (error === undefined) return reply;
    throw new SwarmError(codeOf(error.code), error.message);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SwarmError) throw error;
    throw new SwarmError('unavailable', `the node of the driver broke off: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    node.destroy();
  }
}

async function post(node: Duplex, body: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = http.request(
    {
      createConnection: () => node,
      method: 'POST',
      path: '/csi',
      headers: {
        Host: 'node',
        Connection: 'close',
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
      },
      signal,
    },
    (response) => {
      text(response).then((said) => {
        if (response.statusCode === 200) resolve(said);
        else reject(new Error(said.trim()));
      }, reject);
    },
  );
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

function codeOf(code: string): ErrorCode {
  return errorCodes.find((known) => known === code) ?? 'internal';
}
