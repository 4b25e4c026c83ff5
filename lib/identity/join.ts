import { CertificateAuthority } from '../../gen/ca_pb.js';
import type { Clock } from '../clock.ts';
import { SwarmError } from '../errors.ts';
import { withDefaultPort, type NodeRole } from '../grpc/index.ts';
import type { Logger } from '../log.ts';
import { createSigningRequest, type SigningRequest } from './csr.ts';
import { connectUnverified, connectWithoutCertificate, NodeIdentity } from './identity.ts';
import { checkRoot, parseJoinToken } from './token.ts';

export interface JoinOptions {
  /** Managers to ask, in turn: "host" or "host:port". */
  readonly remoteAddrs: readonly string[];
  readonly token: string;
  readonly availability: 'active' | 'pause' | 'drain';
  /** Where the identity is put. */
  readonly folder: string;
}

const callTimeoutMs = 10_000;

/**
 * Gets an identity: fetches the root certificate from a host that is not trusted yet, trusts it if
 * the token names it, and asks for a certificate. Throws what the last manager that could be asked
 * said; a refusal by any ends it at once, for others would say the same.
 */
export async function joinCluster(
  options: JoinOptions,
  parts: { readonly clock: Clock; readonly log: Logger },
  { signal }: { signal?: AbortSignal } = {},
): Promise<{ readonly identity: NodeIdentity; readonly role: NodeRole; readonly addr: string }> {
  parseJoinToken(options.token);
  if (options.remoteAddrs.length === 0) {
    throw new SwarmError(
      'invalid-argument',
      'a manager\'s address is needed to join: "ts-swarm join --token TOKEN HOST:2377"',
    );
  }
  // One key for all attempts: a manager that is asked twice makes one node of it.
  const request = await createSigningRequest();
  let failure: SwarmError | undefined;
  for (const addr of options.remoteAddrs.map(withDefaultPort)) {
    try {
      const identity = await joinThrough(addr, options, request, parts.clock, signal);
      return { identity, role: identity.role, addr };
    } catch (error) {
      failure = SwarmError.from(error);
      if (!mayTryOthers(failure)) throw failure;
      parts.log.warn('cannot join through this manager', { addr, error: failure.message });
    }
  }
  throw failure ?? new SwarmError('internal', 'no manager was asked');
}

async function joinThrough(
  addr: string,
  { token, availability, folder }: JoinOptions,
  { csrPem, keyPem }: SigningRequest,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<NodeIdentity> {
  const options = { timeoutMs: callTimeoutMs, ...(signal === undefined ? {} : { signal }) };
  let rootPem: string;
  {
    using connection = connectUnverified(addr);
    const ca = connection.client(CertificateAuthority);
    ({ rootCaPem: rootPem } = await ca.getRootCertificate({}, options));
  }
  checkRoot(rootPem, token);
  using connection = connectWithoutCertificate(addr, rootPem);
  const issued = await connection
    .client(CertificateAuthority)
    .issueCertificate({ csrPem, joinToken: token.trim(), availability }, options);
  const material = { certPem: issued.certificatePem, keyPem, rootPem };
  return NodeIdentity.create(folder, material, clock);
}

function mayTryOthers({ code }: SwarmError): boolean {
  return ['unavailable', 'deadline-exceeded', 'unimplemented', 'internal'].includes(code);
}
