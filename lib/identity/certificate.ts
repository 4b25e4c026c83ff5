/** Reads node certificates: CN = node id, OU = role, O = cluster id. */
import { X509Certificate } from 'node:crypto';
import { SwarmError } from '../errors.ts';
import type { NodePeer, NodeRole } from '../grpc/peer.ts';

/** The name that every manager's certificate carries beside its own. */
export const managerServerName = 'swarm-manager';
export const unitOf = { worker: 'swarm-worker', manager: 'swarm-manager' } as const;

/** What a certificate says, not yet whether that is to be believed. */
export interface NodeCertificate extends NodePeer {
  readonly notBeforeMs: number;
}

/** Throws `unauthenticated` where it is not the certificate of a node. */
export function readCertificate(certificate: X509Certificate): NodeCertificate {
  const subject = new Map(
    certificate.subject.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const unit = subject.get('OU');
  const role = (Object.keys(unitOf) as NodeRole[]).find((name) => unitOf[name] === unit);
  const nodeId = subject.get('CN');
  const clusterId = subject.get('O');
  if (role === undefined || nodeId === undefined || clusterId === undefined) {
    throw new SwarmError(
      'unauthenticated',
      'the certificate is not that of a node: its subject must be CN=<node id>, ' +
        `OU=swarm-worker or swarm-manager, O=<cluster id>, and is ${oneLine(certificate.subject)}`,
    );
  }
  return {
    nodeId,
    role,
    clusterId,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

/** Which of the certificates has issued this one. */
export function issuerOf(
  certificate: X509Certificate,
  candidates: readonly X509Certificate[],
): X509Certificate | undefined {
  return candidates.find(
    (issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey),
  );
}

/** The certificates of a PEM text: a node's own, and those between it and the root. */
export function parseChain(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  return (blocks ?? [pem]).map(parseCertificate);
}

/**
 * Throws `unauthenticated` unless the root has issued it, or one of the intermediates, which in
 * turn the root has issued: a new root, while the old one gives way to it.
 */
export function checkIssuer(
  certificate: X509Certificate,
  root: X509Certificate,
  intermediates: readonly X509Certificate[] = [],
): void {
  const between = intermediates.filter(({ ca }) => ca);
  const trusted = between.filter((one) => issuerOf(one, [root]) !== undefined);
  if (issuerOf(certificate, [root, ...trusted]) !== undefined) return;
  throw new SwarmError(
    'unauthenticated',
    "the node's certificate was not issued by this swarm's root: the node belongs to another " +
      'swarm; run "ts-swarm leave --force" on it, then join with a token of this one',
  );
}

/** Throws `unauthenticated` for one that is of another swarm. */
export function checkCluster({ nodeId, clusterId: own }: NodePeer, clusterId: string): void {
  if (own === clusterId) return;
  throw new SwarmError(
    'unauthenticated',
    `the certificate of node ${nodeId} is of swarm ${own}, not of ${clusterId}; ` +
      'run "ts-swarm leave --force" on it, then join with a token of this swarm',
  );
}

/** Throws `unauthenticated` for one that is of another swarm, past its time, or not yet valid. */
export function checkCurrent(peer: NodeCertificate, clusterId: string, nowMs: number): void {
  checkCluster(peer, clusterId);
  if (nowMs > peer.notAfterMs) {
    throw new SwarmError(
      'unauthenticated',
      `the certificate of node ${peer.nodeId} expired on ${isoTime(peer.notAfterMs)}; ` +
        'its daemon renews it while a manager can be reached, if the clocks are right',
      { details: { reason: 'certificate-expired', nodeId: peer.nodeId } },
    );
  }
  if (nowMs < peer.notBeforeMs) {
    throw new SwarmError(
      'unauthenticated',
      `the certificate of node ${peer.nodeId} is valid only from ${isoTime(peer.notBeforeMs)}; ` +
        'set the clocks of the node and the manager right',
    );
  }
}

export function parseCertificate(pemOrDer: string | Buffer): X509Certificate {
  try {
    return new X509Certificate(pemOrDer);
  } catch (error) {
    throw new SwarmError('unauthenticated', 'the certificate cannot be read', { cause: error });
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function oneLine(subject: string): string {
  return subject === '' ? 'empty' : subject.replaceAll('\n', ', ').slice(0, 200);
}
