/** Ends a rotation of the root, on the leader, when no node needs the old root any more. */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { issuerInfo } from '../../lib/identity/index.ts';
import type { Logger } from '../../lib/log.ts';
import { Recurring } from '../../lib/recurring.ts';
import type { Cluster, Node } from '../../types/index.ts';
import type { Change } from '../store/change.ts';

interface RootRotatorParts {
  readonly store: {
    readonly isLeader: boolean;
    cluster(): Cluster | undefined;
    nodes(): Iterable<Node>;
  };
  readonly propose: (changes: readonly Change[]) => Promise<void>;
  /** A new join token for the root certificate. */
  readonly makeJoinToken: (rootCertPem: string) => string;
  readonly clock: Clock;
  readonly log: Logger;
}

const checkEveryMs = 500;
/** While the root is not being replaced. */
const lookEveryMs = 1_000;

export class RootRotator implements AsyncDisposable {
  readonly #parts: RootRotatorParts;
  readonly #work: Recurring;

  constructor(parts: RootRotatorParts) {
    this.#parts = parts;
    const { store, clock, log } = parts;
    this.#work = new Recurring({
      restMs: () => (store.cluster()?.rootCa.rotation === undefined ? lookEveryMs : checkEveryMs),
      round: async () => {
        if (store.isLeader) await this.#check();
      },
      onFailure: (error) => log.warn('the rotation of the root could not be ended yet', { error }),
      clock,
    });
  }

  start(): void {
    this.#work.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
  }

  async #check(): Promise<void> {
    const { store, propose, makeJoinToken, log } = this.#parts;
    const cluster = store.cluster();
    const rotation = cluster?.rootCa.rotation;
    if (cluster === undefined || rotation === undefined) return;
    if (waitingFor(rotation.certPem, store.nodes()).length > 0) return;
    const { certPem, keyPem } = rotation;
    const joinTokens = { worker: makeJoinToken(certPem), manager: makeJoinToken(certPem) };
    const object: Cluster = { ...cluster, rootCa: { certPem, keyPem, joinTokens } };
    await propose([{ op: 'put', table: 'cluster', object, base: cluster.meta.version }]);
    log.info('the root of the swarm has been replaced; so have the join tokens');
  }
}

/** Nodes whose certificate the root has not issued, as far as they have said. */
export function waitingFor(rootPem: string, nodes: Iterable<Node>): readonly Node[] {
  const { issuerPublicKey } = issuerInfo(new X509Certificate(rootPem));
  return [...nodes].filter(
    ({ description }) => description?.tls?.issuerPublicKey !== issuerPublicKey,
  );
}
