import { SwarmError } from '../lib/errors.ts';
import { optional, string, struct } from '../types/index.ts';
import type { RegistryAuth } from '../worker/image/images.ts';

/** Credentials as clients send them. */
export const registryCredentials = struct({
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
    read = registryCredentials.decode(JSON.parse(text), '');
  } catch (error) {
    throw new SwarmError('invalid-argument', 'invalid X-Registry-Auth header: not JSON in base64', {
      cause: error,
    });
  }
  return authOf(read);
}

/** Reads X-Registry-Config: credentials by registry, which are answered by domain. */
export function parseRegistryConfig(header: string): ReadonlyMap<string, RegistryAuth> {
  const found = new Map<string, RegistryAuth>();
  if (header === '') return found;
  try {
    const text = Buffer.from(header, 'base64url').toString('utf8');
    const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
    for (const [server, value] of entries) {
      const auth = authOf(registryCredentials.decode(value, ''));
      if (auth !== undefined) found.set(domainOf(server), auth);
    }
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    throw new SwarmError('invalid-argument', 'invalid X-Registry-Config header', { cause: error });
  }
  return found;
}

/** "https://index.docker.io/v1/" and "docker.io" are the same registry. */
export function domainOf(server: string): string {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return ['', 'index.docker.io', 'registry-1.docker.io'].includes(host) ? 'docker.io' : host;
}

function authOf(read: ReturnType<typeof registryCredentials.decode>): RegistryAuth | undefined {
  const { auth: legacy = '', ...auth } = read;
  if (legacy === '' || auth.username !== undefined) {
    return Object.values(auth).some((value) => value !== undefined && value !== '')
      ? auth
      : undefined;
  }
  const pair = Buffer.from(legacy, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 0) {
    throw new SwarmError('invalid-argument', 'invalid credentials: auth is malformed');
  }
  return { ...auth, username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}
