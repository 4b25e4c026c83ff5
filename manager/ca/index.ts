/**
 * Owns the swarm's root of trust: the root certificate, who gets a certificate and for how long.
 * May import lib, types, gen and the store's contracts; what nodes need as well (tokens, requests,
 * identities) is in lib/identity. Read service.ts first.
 */
export { isSameCertificate } from './external.ts';
export { certLifeDefaultMs, issueForSelf, type CheckedRequest, type Subject } from './issue.ts';
export { createRootCa, type RootCa } from './root.ts';
export { RootRotator, waitingFor } from './root-rotator.ts';
export { crossSign, intermediatesOf, newRotation } from './rotation.ts';
export { CertificateAuthorityService, type CertificateAuthorityParts } from './service.ts';
