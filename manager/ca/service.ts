import { createPublicKey } from 'node:crypto';
import type { CertificateAuthority, IssueCertificateRequest } from '../../gen/ca_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { removed, type CallContext, type HandlersOf } from '../../lib/grpc/index.ts';
import {
  checkIssuer,
  parseCertificate,
  parseJoinToken,
  readCertificate,
  sameText,
  type CertificateSource,
} from '../../lib/identity/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { Cluster, Node, NodeRole, NodeSpec } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import { intermediatesOf, issuerNow } from './rotation.ts';
import { externalCasOf, signExternally } from './external.ts';
import { checkRequest, issueCertificate, nodeIdFor, type CheckedRequest } from './issue.ts';

export interface CertificateAuthorityParts {
  readonly view: Pick<StoreView, 'cluster' | 'node'>;
  /**
   * Resolves when this manager knows at least what the leader knew at the time of the call: what
   * is issued after a new root was announced must be of that root.
   */
  readonly catchUp: () => Promise<void>;
  /** Adds a node; resolves once that is durable. A node that is there already is an error. */
  readonly proposeNode: (node: Node) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Less than callers wait for their certificate. */
const catchUpMs = 3_000;
const availabilities: readonly NodeSpec['availability'][] = ['active', 'pause', 'drain'];

/** Gives hosts their identity: to those with a token, to nodes, and to nobody else. */
export class CertificateAuthorityService {
  readonly #parts: CertificateAuthorityParts;

  constructor(parts: CertificateAuthorityParts) {
    this.#parts = parts;
  }

  /** To be registered with `allow: 'anyone'`. */
  readonly handlers: HandlersOf<typeof CertificateAuthority, CallContext> = {
    getRootCertificate: async () => ({ rootCaPem: this.#cluster().rootCa.certPem }),
    issueCertificate: async (request, { peer, remoteIp }) => {
      await this.#catchUp();
      if (request.joinToken !== '') return this.#join(request, remoteIp);
      if (peer !== undefined) return this.#renew(request.csrPem, peer.nodeId);
      if (request.previousCertificatePem !== '') {
        return this.#renewExpired(request.csrPem, request.previousCertificatePem);
      }
      throw new SwarmError(
        'unauthenticated',
        'a certificate is issued for a join token, or to a node that shows its present one',
      );
    },
  };

  /** For this manager's own certificate: it needs nobody else, also where its own has expired. */
  ownCertificates(nodeId: string): CertificateSource {
    return {
      renew: async ({ csrPem }) => {
        const issued = await this.#renew(csrPem, nodeId);
        return { certPem: issued.certificatePem };
      },
    };
  }

  /** Without a quorum it is done with what is known: nobody can change the root then. */
  async #catchUp(): Promise<void> {
    const { catchUp, clock, log } = this.#parts;
    const done = new AbortController();
    const late = clock.sleep(catchUpMs, { signal: done.signal }).then(() => {
      throw new SwarmError('deadline-exceeded', 'the leader does not answer');
    });
    try {
      await Promise.race([catchUp(), late]);
    } catch (error) {
      log.info('issuing without the leader', { error });
    } finally {
      done.abort();
      await Promise.allSettled([late]);
    }
  }

  async #join(request: IssueCertificateRequest, remoteIp: string) {
    const cluster = this.#cluster();
    const role = roleOfToken(cluster, request.joinToken);
    const checked = await checkRequest(request.csrPem);
    const nodeId = nodeIdFor(checked);
    const known = this.#parts.view.node(nodeId);
    if (cluster.removedNodes[nodeId] !== undefined) throw removed(nodeId);
    if (known === undefined) {
      const availability = availabilities.find((word) => word === request.availability);
      await this.#parts.proposeNode(
        this.#newNode(nodeId, role, availability ?? 'active', remoteIp),
      );
      this.#parts.log.info('node joined', { nodeId, role, addr: remoteIp });
    } else if (known.role !== role) {
      throw new SwarmError(
        'already-exists',
        `node ${nodeId} has joined already, as a ${known.role}`,
      );
    }
    return this.#issue(cluster, { checked, csrPem: request.csrPem }, nodeId, role);
  }

  async #renew(csrPem: string, nodeId: string) {
    const node = this.#parts.view.node(nodeId);
    const cluster = this.#cluster();
    if (node === undefined || cluster.removedNodes[nodeId] !== undefined) throw removed(nodeId);
    const checked = await checkRequest(csrPem);
    return this.#issue(cluster, { checked, csrPem }, nodeId, node.role);
  }

  /**
   * A host that was off for longer than its certificate lives comes back by itself. What shuts a
   * node out is its removal, not the calendar: the node must still be there, and the request must
   * be signed with the key of the certificate that has expired.
   */
  async #renewExpired(csrPem: string, previousPem: string) {
    const cluster = this.#cluster();
    const previous = parseCertificate(previousPem);
    const intermediates = intermediatesOf(cluster.rootCa).map((pem) => parseCertificate(pem));
    checkIssuer(previous, parseCertificate(cluster.rootCa.certPem), intermediates);
    const { nodeId, clusterId } = readCertificate(previous);
    const request = await checkRequest(csrPem);
    const spki = createPublicKey(previous.publicKey.export({ type: 'spki', format: 'pem' }));
    const held = spki.export({ type: 'spki', format: 'der' });
    if (clusterId !== cluster.id || !held.equals(Buffer.from(request.publicKey))) {
      throw new SwarmError(
        'unauthenticated',
        `the request is not signed with the key of node ${nodeId}'s certificate`,
      );
    }
    this.#parts.log.info('renewing an expired certificate', { nodeId });
    return this.#renew(csrPem, nodeId);
  }

  /** By the CAs outside that the swarm has, where it has some: then never by its own key. */
  async #issue(
    cluster: Cluster,
    { checked, csrPem }: { readonly checked: CheckedRequest; readonly csrPem: string },
    nodeId: string,
    role: NodeRole,
  ) {
    const { rootCa, id: clusterId, spec } = cluster;
    const subject = { nodeId, role, clusterId };
    const external = externalCasOf(cluster);
    const certificatePem =
      external.length > 0
        ? await signExternally(external, csrPem, subject, rootCa.certPem)
        : await issueCertificate(issuerNow(rootCa), checked, subject, {
            lifeMs: spec.ca.nodeCertExpiryMs,
            clock: this.#parts.clock,
          });
    return { nodeId, role, certificatePem, rootCaPem: rootCa.certPem };
  }

  #newNode(id: string, role: NodeRole, availability: NodeSpec['availability'], addr: string): Node {
    const atMs = this.#parts.clock.nowMs();
    return {
      id,
      meta: { version: 0, createdAtMs: atMs, updatedAtMs: atMs },
      spec: { labels: {}, role, availability },
      role,
      status: { state: 'unknown', message: 'joined, and not heard of since', addr, atMs },
    };
  }

  #cluster(): Cluster {
    const cluster = this.#parts.view.cluster();
    if (cluster !== undefined) return cluster;
    throw new SwarmError(
      'unavailable',
      'this manager does not know its swarm yet; try again later',
    );
  }
}

/** Throws in Docker's words where the token is none of this swarm's. */
function roleOfToken({ rootCa }: Cluster, token: string): NodeRole {
  parseJoinToken(token);
  // Both are compared in any case, so that the time tells nothing.
  const worker = sameText(token, rootCa.joinTokens.worker);
  const manager = sameText(token, rootCa.joinTokens.manager);
  if (manager) return 'manager';
  if (worker) return 'worker';
  throw new SwarmError(
    'invalid-argument',
    'A valid join token is necessary to join this cluster; this one is wrong or was replaced: ' +
      '"ts-swarm join-token worker" on a manager shows the present one',
  );
}
