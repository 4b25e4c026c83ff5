/** The tar archive that a command sends: a file, or what is piped in. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { messageOf } from '../../lib/errors.ts';
import type { Context } from '../command/context.ts';
import { commandError } from '../command/errors.ts';

/** `path` undefined or `-`: standard input, which may not be a terminal. */
export async function openInput(context: Context, path: string | undefined): Promise<Readable> {
  if (path === undefined || path === '-') {
    if (context.stdin.isTTY === true) {
      throw commandError('requested load from stdin, but stdin is empty');
    }
    return context.stdin;
  }
  try {
    const about = await stat(path);
    if (about.isDirectory()) throw new Error('it is a folder');
  } catch (error) {
    throw commandError(`open ${path}: ${messageOf(error)}`);
  }
  return createReadStream(path);
}
