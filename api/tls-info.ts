import { X509Certificate } from 'node:crypto';
import { issuerInfo, type TlsInfo } from '../lib/identity/index.ts';
import type { Cluster } from '../types/index.ts';

const known = new WeakMap<Cluster['rootCa'], TlsInfo>();

/**
 * Whom the swarm trusts, and who issues its certificates: another one while the root is being
 * replaced. Read once for each root.
 */
export function tlsInfoOf(cluster: Cluster | undefined): TlsInfo | undefined {
  if (cluster === undefined || cluster.rootCa.certPem === '') return undefined;
  const present = known.get(cluster.rootCa);
  if (present !== undefined) return present;
  const { certPem, rotation } = cluster.rootCa;
  const issuer = new X509Certificate((rotation ?? cluster.rootCa).certPem);
  const info = { trustRoot: certPem, ...issuerInfo(issuer) };
  known.set(cluster.rootCa, info);
  return info;
}
