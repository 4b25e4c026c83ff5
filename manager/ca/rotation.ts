/** How a swarm comes to another root: what takes the present one's place, and what is refused. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { loadX509, signingAlgorithm } from '../../lib/identity/index.ts';
import type { Cluster, RootRotation, SwarmSpec } from '../../types/index.ts';
import { authorityOf, signingKeyOf, type Issuer } from './issue.ts';
import { backdateMs, createRootCa, type RootCa } from './root.ts';

const hourMs = 3_600_000;
/** Who starts more rotations than this, and lets none end, loses the nodes of the first ones. */
const abandonedMax = 16;
const yearMs = 365 * 24 * hourMs;

/** Who issues certificates now: during a rotation the new root, vouched for by the old one. */
export function issuerNow({ certPem, keyPem, rotation }: Cluster['rootCa']): Issuer {
  return rotation ?? { certPem, keyPem };
}

/** What stands between the root and nodes' certificates: what the root has signed of late. */
export function intermediatesOf({ rotation }: Cluster['rootCa']): readonly string[] {
  if (rotation === undefined) return [];
  return [rotation.crossSignedPem, ...(rotation.abandonedPems ?? [])];
}

/**
 * The rotation that the spec asks for beyond the present one's; undefined where it asks for none.
 * Throws `invalid-argument` for a root that cannot take over.
 */
export async function newRotation(
  cluster: Cluster,
  spec: SwarmSpec,
  clock: Clock,
): Promise<RootRotation | undefined> {
  const { signingCaCert = '', signingCaKey = '', forceRotate = 0 } = spec.ca;
  const supplied = signingCaCert !== '' || signingCaKey !== '';
  if (!supplied && forceRotate === (cluster.spec.ca.forceRotate ?? 0)) return undefined;
  const root = supplied
    ? suppliedRoot(cluster, { certPem: signingCaCert, keyPem: signingCaKey }, clock)
    : await createRootCa(clock);
  return {
    ...root,
    crossSignedPem: await crossSign(root, cluster.rootCa, clock),
    abandonedPems: intermediatesOf(cluster.rootCa).slice(0, abandonedMax),
  };
}

/** The new root's name and key in a certificate that the old root signs. */
export async function crossSign(next: RootCa, present: RootCa, clock: Clock): Promise<string> {
  const x509 = await loadX509();
  const subject = new x509.X509Certificate(next.certPem);
  const issuer = new x509.X509Certificate(present.certPem);
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const keyId = subject.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  const certificate = await x509.X509CertificateGenerator.create({
    publicKey: subject.publicKey,
    signingKey: await signingKeyOf(present),
    signingAlgorithm,
    issuer: issuer.subjectName,
    subject: subject.subjectName,
    notBefore: new Date(clock.nowMs() - backdateMs),
    notAfter: new Date(Math.min(issuer.notAfter.getTime(), subject.notAfter.getTime())),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      ...(keyId === undefined ? [] : [new x509.SubjectKeyIdentifierExtension(keyId)]),
      await authorityOf(issuer),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

function suppliedRoot(cluster: Cluster, { certPem, keyPem }: RootCa, clock: Clock): RootCa {
  if (certPem === '') {
    throw refused('if a signing CA key is provided, the signing CA cert must also be provided');
  }
  if (keyPem === '') {
    throw refused('the CA key must be given as well: this version keeps no root without its key');
  }
  const root = read('the CA certificate', () => new X509Certificate(certPem));
  const key = read('the CA key', () => createPrivateKey(keyPem));
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw refused('the CA key must be one of ECDSA on P-256');
  }
  if (!root.checkPrivateKey(key)) throw refused('the CA key is not that of the CA certificate');
  if (!root.ca || !root.checkIssued(root) || !root.verify(root.publicKey)) {
    throw refused('the CA certificate must be a root: of a CA, and signed by its own key');
  }
  if (Date.parse(root.validTo) < clock.nowMs() + yearMs) {
    throw refused(`the CA certificate must be valid for a year; it ends on ${root.validTo}`);
  }
  if (Date.parse(root.validFrom) > clock.nowMs()) {
    throw refused(`the CA certificate is not valid before ${root.validFrom}`);
  }
  const own = createPublicKey(createPrivateKey(cluster.rootCa.keyPem));
  if (own.equals(root.publicKey)) {
    throw refused('the CA key is that of the present root: a rotation needs another key');
  }
  const pkcs8 = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certPem: root.toString(), keyPem: pkcs8 };
}

function read<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new SwarmError('invalid-argument', `${what} cannot be read: is it PEM?`, {
      cause: error,
    });
  }
}

function refused(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
