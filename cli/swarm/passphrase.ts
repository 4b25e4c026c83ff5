/** The passphrase of a backup: from a file, as command lines are seen by everybody on the host. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../lib/errors.ts';
import { commandError } from '../command/errors.ts';
import { text, type FlagValues } from '../command/flags.ts';

export const passphraseFile = text(
  'passphrase-file',
  'File whose first line is the passphrase of the backup, or the unlock key of the swarm',
  { word: 'file' },
);

/** The header that carries the passphrase; none where no file is given. */
export async function passphraseHeaders(flags: FlagValues): Promise<Record<string, string>> {
  const path = flags.get(passphraseFile);
  if (path === undefined) return {};
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    throw commandError(`${path} cannot be read: ${messageOf(error)}`);
  }
  const passphrase = content.split('\n')[0]?.trim() ?? '';
  if (passphrase === '') throw commandError(`${path} holds no passphrase: its first line is empty`);
  return { 'X-Swarm-Passphrase': Buffer.from(passphrase).toString('base64url') };
}
