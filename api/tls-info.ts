import { X509Certificate } from 'node:crypto';
import { assert } from '../lib/assert.ts';
import type { Cluster } from '../types/index.ts';
import type { TlsInfo } from './convert/node.ts';

const known = new WeakMap<Cluster['rootCa'], TlsInfo>();

/** What clients see of the swarm's root certificate; read once for each root. */
export function tlsInfoOf(cluster: Cluster | undefined): TlsInfo | undefined {
  if (cluster === undefined || cluster.rootCa.certPem === '') return undefined;
  const present = known.get(cluster.rootCa);
  if (present !== undefined) return present;
  const certificate = new X509Certificate(cluster.rootCa.certPem);
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const info: TlsInfo = {
    trustRoot: cluster.rootCa.certPem,
    issuerSubject: subjectOf(certificate.raw).toString('base64'),
    issuerPublicKey: key.toString('base64'),
  };
  known.set(cluster.rootCa, info);
  return info;
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
