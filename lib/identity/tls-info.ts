/** What a certificate says of itself, as the API shows it. */
import type { X509Certificate } from 'node:crypto';
import { assert } from '../assert.ts';

/** Whom a node trusts, and who has issued its certificate. */
export interface TlsInfo {
  /** PEM. */
  readonly trustRoot: string;
  /** DER, in base64. */
  readonly issuerSubject: string;
  readonly issuerPublicKey: string;
}

/** Of a certificate that issues others. */
export function issuerInfo(certificate: X509Certificate): Omit<TlsInfo, 'trustRoot'> {
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return {
    issuerSubject: subjectOf(certificate.raw).toString('base64'),
    issuerPublicKey: key.toString('base64'),
  };
}

/**
 * The subject as it is encoded: Certificate → TBSCertificate → [version], serial number, signature
 * algorithm, issuer, validity, subject.
 */
function subjectOf(der: Buffer): Buffer {
  const certificate = element(der, 0);
  const toBeSigned = element(der, certificate.contentAt);
  let at = toBeSigned.contentAt;
  const hasVersion = der[at] === 0xa0;
  for (let skipped = 0; skipped < (hasVersion ? 5 : 4); skipped++) at = element(der, at).end;
  return der.subarray(at, element(der, at).end);
}

/** Where a DER element's content begins and ends. */
function element(der: Buffer, at: number): { contentAt: number; end: number } {
  const first = der.readUInt8(at + 1);
  const isShort = first < 0x80;
  const lengthBytes = isShort ? 0 : first - 0x80;
  assert(lengthBytes <= 4, 'a certificate that OpenSSL has read has elements of sane length');
  const length = isShort ? first : der.readUIntBE(at + 2, lengthBytes);
  const contentAt = at + 2 + lengthBytes;
  return { contentAt, end: contentAt + length };
}
