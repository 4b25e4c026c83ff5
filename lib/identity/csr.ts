import { createPrivateKey, createPublicKey } from 'node:crypto';
import { createKeyPair, keyAlgorithm, loadX509, signingAlgorithm } from './x509.ts';

/** A certificate request, and the key that it is for. */
export interface SigningRequest {
  readonly csrPem: string;
  readonly keyPem: string;
}

/** Asks for a certificate for a new key, or for `keyPem`. The subject is the manager's to set. */
export async function createSigningRequest(keyPem?: string): Promise<SigningRequest> {
  const x509 = await loadX509();
  const { keys, keyPem: pem } =
    keyPem === undefined ? await createKeyPair() : await importKeyPair(keyPem);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=swarm-node',
    keys,
    signingAlgorithm,
  });
  return { csrPem: `${csr.toString('pem')}\n`, keyPem: pem };
}

async function importKeyPair(keyPem: string) {
  const privateKey = createPrivateKey(keyPem);
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const subtle = crypto.subtle;
  const keys = {
    privateKey: await subtle.importKey('pkcs8', new Uint8Array(pkcs8), keyAlgorithm, false, [
      'sign',
    ]),
    publicKey: await subtle.importKey('spki', new Uint8Array(spki), keyAlgorithm, true, ['verify']),
  };
  return { keys, keyPem };
}
