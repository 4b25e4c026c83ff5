/**
 * Owns what a node is in its swarm: keys, certificates, join tokens, how an identity is got, kept
 * on disk, renewed and judged. Imports lib and gen only, so that workers and managers share it.
 * Read identity.ts first, then join.ts and renewer.ts.
 */
export {
  checkIssuer,
  managerServerName,
  parseCertificate,
  parseChain,
  readCertificate,
  unitOf,
  type NodeCertificate,
} from './certificate.ts';
export { toBase36 } from './base36.ts';
export { createSigningRequest, type SigningRequest } from './csr.ts';
export {
  readIfThere,
  writeFileAtomic,
  type IdentityMaterial,
  type KeyProtection,
} from './files.ts';
export { connectWithoutCertificate, NodeIdentity } from './identity.ts';
export { joinCluster, type JoinOptions } from './join.ts';
export {
  CertificateRenewer,
  managersCertificates,
  remoteCertificates,
  renewOnce,
  type CertificateSource,
  type RenewerParts,
} from './renewer.ts';
export { issuerInfo, type TlsInfo } from './tls-info.ts';
export { createJoinToken, parseJoinToken, rootDigest, sameText } from './token.ts';
export { createKeyPair, keyAlgorithm, loadX509, signingAlgorithm } from './x509.ts';
