import type * as X509 from '@peculiar/x509';
import type { webcrypto } from 'node:crypto';

/** Loaded when first needed: it costs a daemon's start 130 ms, and is used a few times a year. */
export async function loadX509(): Promise<typeof X509> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

/** Every key of a swarm: ECDSA on P-256. */
export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A new key pair, and the private key as PEM (PKCS #8). */
export async function createKeyPair(): Promise<{
  readonly keys: webcrypto.CryptoKeyPair;
  readonly keyPem: string;
}> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { keys, keyPem: toPem('PRIVATE KEY', der) };
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
