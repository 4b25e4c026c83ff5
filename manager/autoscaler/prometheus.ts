/** Asks a Prometheus server for one number. */
import { SwarmError } from '../../lib/errors.ts';
import type { QueryTarget } from '../../types/index.ts';
import type { QueryAnswer } from './load.ts';

/** Who gets a page of text at an address: the network in the daemon, a table in tests. */
export type Fetch = (
  url: string,
  options: { readonly signal: AbortSignal },
) => Promise<{ readonly status: number; readonly text: string }>;

const bytesMax = 256 * 1024;

/** With an end to what a server may say; redirections are not followed. */
export const fetchText: Fetch = async (url, { signal }) => {
  const response = await fetch(url, { signal, redirect: 'manual' });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new SwarmError('resource-exhausted', 'it says too much');
    chunks.push(chunk);
  }
  return { status: response.status, text: Buffer.concat(chunks).toString('utf8') };
};

/** Does not throw: that there is no answer is one. */
export async function askPrometheus(
  { url, query }: Pick<QueryTarget, 'url' | 'query'>,
  fetchPage: Fetch,
  options: { readonly signal: AbortSignal },
): Promise<QueryAnswer> {
  const address = `${url.replace(/\/$/, '')}/api/v1/query?query=${encodeURIComponent(query)}`;
  try {
    const { status, text } = await fetchPage(address, options);
    return readAnswer(status, text, url);
  } catch (error) {
    return { problem: `${url} does not answer: ${reasonOf(error)}` };
  }
}

function readAnswer(status: number, text: string, url: string): QueryAnswer {
  const answer = parsed(text);
  const { status: said, error, data } = answer;
  if (said !== 'success' || data === undefined) {
    const why = typeof error === 'string' ? error.slice(0, 200) : `HTTP ${status}`;
    return { problem: `${url} refuses the query: ${why}` };
  }
  const { resultType, result } = data;
  if (resultType === 'scalar') return numberOf(result);
  if (resultType !== 'vector' || !Array.isArray(result)) {
    return { problem: `the query gives a ${String(resultType)}; it has to give one number` };
  }
  const [only, ...more] = result as { readonly value?: unknown }[];
  if (only === undefined) return { problem: 'the query gives nothing' };
  if (more.length > 0) {
    return { problem: `the query gives ${result.length} numbers; sum() makes one of them` };
  }
  return numberOf(only.value);
}

interface Answer {
  readonly status?: unknown;
  readonly error?: unknown;
  readonly data?: { readonly resultType?: unknown; readonly result?: unknown };
}

function parsed(text: string): Answer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // What is no JSON comes from something else than a Prometheus server: the status says more.
    return {};
  }
}

/** A time and a number as text. */
function numberOf(pair: unknown): QueryAnswer {
  const text: unknown = Array.isArray(pair) ? pair[1] : undefined;
  const value = typeof text === 'string' && text !== '' ? Number(text) : NaN;
  return Number.isFinite(value) ? { value } : { problem: `the query gives ${String(text)}` };
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const { message } = SwarmError.from(cause ?? error);
  return message.slice(0, 200);
}
