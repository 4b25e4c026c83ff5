import type * as X509 from '@peculiar/x509';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import {
  createSigningRequest,
  keyAlgorithm,
  loadX509,
  managerServerName,
  signingAlgorithm,
  toBase36,
  unitOf,
  type IdentityMaterial,
} from '../../lib/identity/index.ts';
import type { NodeRole } from '../../types/index.ts';
import { backdateMs, type RootCa } from './root.ts';

/** Whom a certificate is for. */
export interface Subject {
  readonly nodeId: string;
  readonly role: NodeRole;
  readonly clusterId: string;
}

export const certLifeDefaultMs = 90 * 24 * 3_600_000;
const certLifeMinMs = 3_600_000;
const csrLengthMax = 8_192;
const nodeIdLength = 25;

/** A request that was read, and whose sender has proved to hold the key. */
export interface CheckedRequest {
  /** The public key, DER (SubjectPublicKeyInfo). */
  readonly publicKey: Uint8Array;
}

/** Throws `invalid-argument` for one that is unreadable, forged, or for another kind of key. */
export async function checkRequest(csrPem: string): Promise<CheckedRequest> {
  const x509 = await loadX509();
  if (csrPem.length > csrLengthMax) throw badRequest('it is too long');
  let publicKey: Uint8Array;
  let signed: boolean;
  let curve: string | undefined;
  try {
    const csr = new x509.Pkcs10CertificateRequest(csrPem);
    publicKey = new Uint8Array(csr.publicKey.rawData);
    signed = await csr.verify();
    const key = createPublicKey({ key: Buffer.from(publicKey), type: 'spki', format: 'der' });
    curve = key.asymmetricKeyDetails?.namedCurve;
  } catch (error) {
    throw badRequest('it cannot be read', error);
  }
  if (curve !== 'prime256v1') throw badRequest('its key is not one of ECDSA on P-256');
  if (!signed) throw badRequest('its signature is wrong');
  return { publicKey };
}

/**
 * The id of the node that joins with this key. It is derived, so that a node that asks twice (the
 * first answer was lost) is one node.
 */
export function nodeIdFor({ publicKey }: CheckedRequest): string {
  return toBase36(createHash('sha256').update(publicKey).digest(), nodeIdLength);
}

/** A root, and what stands between it and those who trust an older one. */
export interface Issuer extends RootCa {
  readonly crossSignedPem?: string;
}

/** Signs a certificate. `lifeMs` is held to at least an hour, and to the root's own end. */
export async function issueCertificate(
  root: Issuer,
  request: CheckedRequest,
  subject: Subject,
  { lifeMs, clock }: { readonly lifeMs: number | undefined; readonly clock: Clock },
): Promise<string> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(root.certPem);
  const nowMs = clock.nowMs();
  const wishedMs = nowMs + Math.max(certLifeMinMs, lifeMs ?? certLifeDefaultMs);
  const usage = x509.ExtendedKeyUsage;
  const manager = subject.role === 'manager';
  const names = manager ? [managerServerName, 'swarm-ca', subject.nodeId] : [subject.nodeId];
  const certificate = await x509.X509CertificateGenerator.create({
    publicKey: new x509.PublicKey(new Uint8Array(request.publicKey)),
    signingKey: await signingKeyOf(root),
    signingAlgorithm,
    issuer: issuer.subjectName,
    subject: [{ O: [subject.clusterId] }, { OU: [unitOf[subject.role]] }, { CN: [subject.nodeId] }],
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(Math.min(wishedMs, issuer.notAfter.getTime())),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      // Only a manager may be taken for a server: a worker cannot pose as one.
      new x509.ExtendedKeyUsageExtension(
        manager ? [usage.clientAuth, usage.serverAuth] : [usage.clientAuth],
      ),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: 'dns' as const, value })),
      ),
      await authorityOf(issuer),
    ],
  });
  return `${certificate.toString('pem')}\n${root.crossSignedPem ?? ''}`;
}

/** A certificate for this process itself: the first manager of a swarm has nobody to ask. */
export async function issueForSelf(
  root: RootCa,
  subject: Omit<Subject, 'nodeId'> & { readonly nodeId?: string },
  options: { readonly lifeMs: number | undefined; readonly clock: Clock },
): Promise<IdentityMaterial> {
  const { csrPem, keyPem } = await createSigningRequest();
  const request = await checkRequest(csrPem);
  const nodeId = subject.nodeId ?? nodeIdFor(request);
  const certPem = await issueCertificate(root, request, { ...subject, nodeId }, options);
  return { certPem, keyPem, rootPem: root.certPem };
}

export async function signingKeyOf({ keyPem }: RootCa) {
  const der = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
  return crypto.subtle.importKey('pkcs8', new Uint8Array(der), keyAlgorithm, false, ['sign']);
}

/** Names the issuer's key as the issuer names it itself, or nobody finds the one by the other. */
export async function authorityOf(issuer: X509.X509Certificate) {
  const x509 = await loadX509();
  const own = issuer.getExtension(x509.SubjectKeyIdentifierExtension);
  if (own === null) return x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey);
  return new x509.AuthorityKeyIdentifierExtension(own.keyId);
}

function badRequest(why: string, cause?: unknown): SwarmError {
  return new SwarmError('invalid-argument', `the certificate request is not good: ${why}`, {
    cause,
  });
}
