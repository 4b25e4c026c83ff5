/** Join tokens: `SWMTKN-1-<digest of the root certificate>-<secret>`, as Docker writes them. */
import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto';
import { SwarmError } from '../errors.ts';
import type { Random } from '../random.ts';
import { toBase36 } from './base36.ts';

const prefix = 'SWMTKN-1';
const digestLength = 50;
const pattern = /^SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})$/;

/** Makes a token with a new secret for the swarm of this root. */
export function createJoinToken(rootPem: string, random: Random): string {
  return `${prefix}-${rootDigest(rootPem)}-${random.id()}`;
}

/** SHA-256 of the root certificate (DER), base 36, 50 characters. */
export function rootDigest(rootPem: string): string {
  const { raw } = new X509Certificate(rootPem);
  return toBase36(createHash('sha256').update(raw).digest(), digestLength);
}

/** The parts of a token. Throws `invalid-argument` in Docker's words. */
export function parseJoinToken(token: string): {
  readonly digest: string;
  readonly secret: string;
} {
  const match = pattern.exec(token.trim());
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new SwarmError(
      'invalid-argument',
      'invalid join token: it must read SWMTKN-1-<digest>-<secret>; ' +
        '"ts-swarm join-token worker" on a manager shows it',
    );
  }
  return { digest: match[1], secret: match[2] };
}

/** Throws unless the root, fetched from a host not yet trusted, is the one that the token names. */
export function checkRoot(rootPem: string, token: string): void {
  const { digest } = parseJoinToken(token);
  let actual: string;
  try {
    actual = rootDigest(rootPem);
  } catch (error) {
    throw new SwarmError('unauthenticated', 'the remote host sent no readable CA certificate', {
      cause: error,
    });
  }
  if (!sameText(actual, digest)) {
    throw new SwarmError(
      'unauthenticated',
      `remote CA does not match fingerprint. Expected: ${digest}, got: ${actual}; ` +
        'the token is of another swarm, or the address is not of this one',
    );
  }
}

/** Whether two secrets are the same, in a time that tells nothing about where they differ. */
export function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
