import { SwarmError } from '../lib/errors.ts';
import { optional, string, struct } from '../types/index.ts';
import type { RegistryAuth } from '../worker/image/images.ts';

const document = struct({
  username: optional('username', string),
  password: optional('password', string),
  /** "user:password" in base64: what older clients send instead. */
  auth: optional('auth', string),
  serverAddress: optional('serveraddress', string),
  identityToken: optional('identitytoken', string),
  registryToken: optional('registrytoken', string),
});

/** Reads the header X-Registry-Auth: JSON in base64url. Absent where it says nothing. */
export function parseRegistryAuth(header: string): RegistryAuth | undefined {
  if (header === '') return undefined;
  let read;
  try {
    const text = Buffer.from(header, 'base64url').toString('utf8');
    read = document.decode(JSON.parse(text), '');
  } catch (error) {
    throw new SwarmError('invalid-argument', 'invalid X-Registry-Auth header: not JSON in base64', {
      cause: error,
    });
  }
  const { auth: legacy = '', ...auth } = read;
  if (legacy === '' || auth.username !== undefined) {
    return Object.values(auth).some((value) => value !== undefined && value !== '')
      ? auth
      : undefined;
  }
  const pair = Buffer.from(legacy, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 0) {
    throw new SwarmError('invalid-argument', 'invalid X-Registry-Auth header: auth is malformed');
  }
  return { ...auth, username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}
