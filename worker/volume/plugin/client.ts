/** Calls of a plugin: JSON over HTTP, each with a time after which nobody waits for it. */
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import { http } from '../../../lib/node-http.ts';
import type { PluginAddress } from './address.ts';

const contentType = 'application/vnd.docker.plugins.v1.1+json';
const answerBytesMax = 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Throws SwarmError: `unavailable` for no answer, `failed-precondition` for the plugin's own. */
export async function callPlugin(
  address: PluginAddress,
  method: string,
  body: object,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<Readonly<Record<string, unknown>>> {
  let answer: Answer;
  try {
    answer = await exchange(address, method, JSON.stringify(body), timeoutMs);
  } catch (cause) {
    const reason =
      cause instanceof Error && cause.name === 'TimeoutError'
        ? `no answer within ${timeoutMs / 1000} s`
        : messageOf(cause);
    throw new SwarmError('unavailable', `${method}: ${reason}`, { cause });
  }
  const parsed = parse(answer.body);
  const error = typeof parsed?.['Err'] === 'string' ? parsed['Err'] : '';
  if (answer.status !== 200) {
    const said = error || answer.body.trim().slice(0, 500) || `status ${answer.status}`;
    const code = answer.status === 404 ? 'not-found' : 'failed-precondition';
    throw new SwarmError(code, `${method}: ${said}`);
  }
  if (error !== '') throw new SwarmError('failed-precondition', error);
  if (parsed === undefined && answer.body.trim() !== '') {
    throw new SwarmError('failed-precondition', `${method}: the plugin's answer is not JSON`);
  }
  return parsed ?? {};
}

function exchange(
  address: PluginAddress,
  method: string,
  body: string,
  timeoutMs: number,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const call = http.request(
    {
      ...address,
      method: 'POST',
      path: `/${method}`,
      headers: {
        accept: contentType,
        'content-type': contentType,
        'content-length': Buffer.byteLength(body),
      },
      signal: AbortSignal.timeout(timeoutMs),
    },
    (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) response.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, body: text });
      });
    },
  );
  call.on('error', (error) => {
    // Node tells that it was aborted; that the time is over is the signal's reason.
    const { cause } = error;
    reject(cause instanceof Error && cause.name === 'TimeoutError' ? cause : error);
  });
  call.end(body);
  return promise;
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return undefined;
}
