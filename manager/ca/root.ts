import type { Clock } from '../../lib/clock.ts';
import { createKeyPair, loadX509, signingAlgorithm } from '../../lib/identity/index.ts';

/** The swarm's root of trust, as the cluster object keeps it. */
export interface RootCa {
  readonly certPem: string;
  /** PKCS #8. */
  readonly keyPem: string;
}

const hourMs = 3_600_000;
const yearMs = 365 * 24 * hourMs;
const rootLifeMs = 20 * yearMs;
/** Clocks of hosts differ: what is issued now was valid already an hour ago. */
export const backdateMs = hourMs;

/** A new self-signed root: ECDSA P-256, CN swarm-ca, 20 years. */
export async function createRootCa(clock: Clock): Promise<RootCa> {
  const x509 = await loadX509();
  const { keys, keyPem } = await createKeyPair();
  const nowMs = clock.nowMs();
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=swarm-ca',
    keys,
    signingAlgorithm,
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(nowMs + rootLifeMs),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: `${certificate.toString('pem')}\n`, keyPem };
}
