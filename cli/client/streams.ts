/** The two ways in which the API streams: a JSON document a line, and framed stdout and stderr. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { SwarmError } from '../../lib/errors.ts';

const maxLineBytes = 16 * 1024 * 1024;

/** Documents as they come; they need not stand on lines of their own. */
export async function* jsonDocuments<T>(response: IncomingMessage): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response as AsyncIterable<Buffer>) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineBytes) {
      throw new SwarmError('resource-exhausted', 'the daemon sent a line too long to read');
    }
    for (const line of lines) {
      if (line.trim() !== '') yield JSON.parse(line) as T;
    }
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as T;
}

interface Frame {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/** Docker's multiplexed stream: eight bytes of header (stream, length) before each payload. */
export async function* frames(response: Readable): AsyncGenerator<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 8) {
      const length = rest.readUInt32BE(4);
      if (length > maxLineBytes) {
        throw new SwarmError('internal', 'the daemon sent a log frame with an impossible length');
      }
      if (rest.length < 8 + length) break;
      const data = rest.subarray(8, 8 + length);
      const kind = rest[0];
      rest = rest.subarray(8 + length);
      if (kind === 3) {
        throw new SwarmError('internal', `error from daemon in stream: ${data.toString('utf8')}`);
      }
      yield { stream: kind === 2 ? 'stderr' : 'stdout', data };
    }
  }
  if (rest.length > 0) {
    throw new SwarmError('unavailable', 'the stream of logs broke off in the middle of a line');
  }
}
