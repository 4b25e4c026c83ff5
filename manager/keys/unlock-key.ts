/** The key that a person keeps and a locked manager asks for: `SWMKEY-1-<32 bytes, base64>`. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { SwarmError } from '../../lib/errors.ts';

const prefix = 'SWMKEY-1-';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const algorithm = 'aes-256-gcm';

export const swarmLocked =
  'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm ' +
  'unlock" to unlock it.';

export function createUnlockKey(): string {
  return prefix + randomBytes(keyBytes).toString('base64').replace(/=+$/, '');
}

/** Its 32 bytes. Throws `unauthenticated` in Docker's words. */
export function parseUnlockKey(text: string): Buffer {
  const trimmed = text.trim();
  const bytes = Buffer.from(trimmed.slice(prefix.length), 'base64');
  if (!trimmed.startsWith(prefix) || bytes.length !== keyBytes) throw invalidKey();
  return bytes;
}

export function wrap(unlockKey: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, parseUnlockKey(unlockKey), nonce);
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, text, cipher.getAuthTag()]);
}

/** Throws `unauthenticated` where the key is another one. */
export function unwrap(unlockKey: string, wrapped: Buffer): Buffer {
  const key = parseUnlockKey(unlockKey);
  const end = wrapped.length - tagBytes;
  const decipher = createDecipheriv(algorithm, key, wrapped.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAuthTag(wrapped.subarray(end));
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(nonceBytes, end)), decipher.final()]);
  } catch (error) {
    throw invalidKey(error);
  }
}

function invalidKey(cause?: unknown): SwarmError {
  return new SwarmError('unauthenticated', 'swarm could not be unlocked: invalid key provided', {
    cause,
  });
}
