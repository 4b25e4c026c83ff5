/** The keys that leave a container running. */
import { parseDetachKeys } from '../../lib/detach-keys.ts';
import { commandError } from '../command/errors.ts';
import { text } from '../command/flags.ts';

export const detachKeysFlag = text(
  'detach-keys',
  'Override the key sequence for detaching a container',
);

/** Throws a command error that names the key that is none. */
export function detachKeysOf(given = ''): Uint8Array {
  const parsed = parseDetachKeys(given);
  if ('keys' in parsed) return parsed.keys;
  throw commandError(`invalid detach keys (${given}): Unknown character: '${parsed.unknown}'`);
}
