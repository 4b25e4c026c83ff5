/** What a secret or a config is to hold: a file, or what is piped in. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../lib/errors.ts';
import type { Context } from '../command/context.ts';
import { commandError } from '../command/errors.ts';

/** More than any secret or config may have: reading stops here. */
const bytesMax = 2 * 1024 * 1024;

/** In base64. `path` `-`: standard input. */
export async function readContent(context: Context, path: string): Promise<string> {
  return (path === '-' ? await piped(context) : await fromFile(path)).toString('base64');
}

async function fromFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw commandError(`Error reading content from ${JSON.stringify(path)}: ${messageOf(error)}`);
  }
}

async function piped({ stdin }: Context): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stdin) {
    const chunk = Buffer.from(part as Uint8Array);
    bytes += chunk.length;
    if (bytes > bytesMax) throw commandError('standard input holds more than 2 MiB');
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
