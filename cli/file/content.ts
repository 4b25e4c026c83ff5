/** What a secret or a config is to hold: a file, or what is piped in. */
import { createReadStream } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';
import type { Context } from '../command/context.ts';
import { commandError } from '../command/errors.ts';

/** More than any secret or config may have: reading stops here. */
const bytesMax = 2 * 1024 * 1024;

/** In base64. `path` `-`: standard input. */
export async function readContent({ stdin }: Context, path: string): Promise<string> {
  const isPiped = path === '-';
  const source = isPiped ? stdin : createReadStream(path);
  const content = await upTo(bytesMax, source).catch((error: unknown) => {
    throw commandError(`Error reading content from ${JSON.stringify(path)}: ${messageOf(error)}`);
  });
  if (content !== undefined) return content.toString('base64');
  throw commandError(`${isPiped ? 'standard input' : path} holds more than 2 MiB`);
}

/** Undefined where there is more, also of what has no end, as a device or a pipe may. */
async function upTo(maxBytes: number, source: AsyncIterable<unknown>): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of source) {
    const chunk = Buffer.from(part as Uint8Array);
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
