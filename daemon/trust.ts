/** Keeps up with the swarm's root: whom this node trusts, and who is to vouch for it. */
import { X509Certificate } from 'node:crypto';
import { issuerInfo, type CertificateRenewer, type NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import { intermediatesOf } from '../manager/ca/index.ts';
import type { Store } from '../manager/store/index.ts';
import type { ClusterState } from '../worker/agent/index.ts';

interface Parts {
  readonly identity: Pick<NodeIdentity, 'tls' | 'rootPem' | 'trustRoot' | 'trustIntermediates'>;
  readonly log: Logger;
}

type RootNews = Pick<ClusterState, 'rootCaPem' | 'issuerPem' | 'renewWithinMs'>;

/** What the managers say of the root, on every node. */
export class TrustFollower {
  readonly #parts: Parts & { readonly renewer: Pick<CertificateRenewer, 'renewWithin'> };
  #news: RootNews | undefined;

  constructor(parts: Parts & { readonly renewer: Pick<CertificateRenewer, 'renewWithin'> }) {
    this.#parts = parts;
  }

  learn(news: RootNews): void {
    this.#news = news;
    this.renewed();
  }

  /** The certificate is another one: it may be of the issuer that is wanted by now, or not yet. */
  renewed(): void {
    const { issuerPem = '', rootCaPem, renewWithinMs = 0 } = this.#news ?? {};
    if (issuerPem === '' || !rootCaPem) return;
    const { identity, renewer, log } = this.#parts;
    const { issuerPublicKey } = identity.tls;
    // Also where the next root is on its way, as it is for a node that was off when this one came:
    // it is this one that vouches for certificates of the next.
    if (issuerPublicKey === keyOf(rootCaPem)) trust(identity, rootCaPem, log);
    if (issuerPublicKey === keyOf(issuerPem)) return;
    log.info('the certificate is to be renewed for a new root', { renewWithinMs });
    renewer.renewWithin(renewWithinMs);
  }
}

/** What a manager's own store says of the root, which is known before any other node tells it. */
export function followRoot(store: Store, { identity, log }: Parts): Disposable {
  const look = () => {
    const rootCa = store.cluster()?.rootCa;
    if (rootCa === undefined) return;
    identity.trustIntermediates(intermediatesOf(rootCa));
    trust(identity, rootCa.certPem, log);
  };
  look();
  return store.onChange(({ events, restored }) => {
    if (restored || events.some(({ table }) => table === 'cluster')) look();
  });
}

function keyOf(certPem: string): string {
  return issuerInfo(new X509Certificate(certPem)).issuerPublicKey;
}

function trust(identity: Parts['identity'], rootPem: string, log: Logger): void {
  if (identity.rootPem === rootPem) return;
  identity.trustRoot(rootPem).then(
    () => log.info('the root of the swarm has been replaced'),
    (error: unknown) => log.warn("cannot trust the swarm's root", { error }),
  );
}
