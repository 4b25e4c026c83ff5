import { createSecureContext } from 'node:tls';
import { sign, type X509Certificate } from 'node:crypto';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { SwarmError } from '../errors.ts';
import { Connection, type NodePeer, type NodeRole, type ServerIdentity } from '../grpc/index.ts';
import {
  checkCluster,
  checkCurrent,
  checkIssuer,
  issuerOf,
  managerServerName,
  parseCertificate,
  parseChain,
  readCertificate,
  type NodeCertificate,
} from './certificate.ts';
import {
  loadIdentity,
  plainKey,
  saveIdentity,
  type IdentityMaterial,
  type KeyProtection,
} from './files.ts';
import { issuerInfo, type TlsInfo } from './tls-info.ts';

/** More than rotations of the root that anybody has under way. */
const intermediatesMax = 32;

/**
 * This node's identity in its swarm, live: whoever holds it sees a renewed certificate at once.
 * Connections that are open keep the certificate that they were made with.
 */
export class NodeIdentity implements ServerIdentity {
  readonly folder: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #material: IdentityMaterial;
  #certificate: NodeCertificate;
  /** The certificate itself, and what is between it and the root. */
  #chain: readonly X509Certificate[];
  #root: X509Certificate;
  /** What stands between the root and other nodes' certificates, besides. */
  #intermediates: readonly X509Certificate[] = [];
  #protection: KeyProtection;
  #saving: Promise<unknown> = Promise.resolve();

  private constructor(
    folder: string,
    material: IdentityMaterial,
    clock: Clock,
    protection: KeyProtection,
  ) {
    this.folder = folder;
    this.#clock = clock;
    this.#protection = protection;
    this.#material = material;
    this.#chain = parseChain(material.certPem);
    this.#certificate = readCertificate(leafOf(this.#chain));
    this.#root = parseCertificate(material.rootPem);
  }

  /** Nothing where the folder holds no identity: the node is in no swarm. */
  static async load(
    folder: string,
    clock: Clock,
    protection: KeyProtection = plainKey,
  ): Promise<NodeIdentity | undefined> {
    const material = await loadIdentity(folder, protection);
    return material && new NodeIdentity(folder, material, clock, protection);
  }

  /** Writes the material to the folder first. */
  static async create(
    folder: string,
    material: IdentityMaterial,
    clock: Clock,
  ): Promise<NodeIdentity> {
    const identity = new NodeIdentity(folder, material, clock, plainKey);
    await saveIdentity(folder, material);
    return identity;
  }

  get nodeId(): string {
    return this.#certificate.nodeId;
  }
  get clusterId(): string {
    return this.#certificate.clusterId;
  }
  /** As the certificate says. */
  get role(): NodeRole {
    return this.#certificate.role;
  }
  get notBeforeMs(): number {
    return this.#certificate.notBeforeMs;
  }
  get notAfterMs(): number {
    return this.#certificate.notAfterMs;
  }
  /** Neither past its time nor before it, by this host's clock. */
  get isCurrent(): boolean {
    const nowMs = this.#clock.nowMs();
    return nowMs >= this.notBeforeMs && nowMs <= this.notAfterMs;
  }
  get certPem(): string {
    return this.#material.certPem;
  }
  get keyPem(): string {
    return this.#material.keyPem;
  }
  get rootPem(): string {
    return this.#material.rootPem;
  }

  /** What others may know of whom this node trusts, and who vouches for it. */
  get tls(): TlsInfo {
    const [leaf, ...between] = this.#chain;
    const issuer = leaf && issuerOf(leaf, [...between, this.#root]);
    return { trustRoot: this.rootPem, ...issuerInfo(issuer ?? this.#root) };
  }

  /**
   * Takes a renewed certificate: on disk, then in use. Throws where it is not for this node. The
   * root stays: it is replaced by `trustRoot` only.
   */
  async replace({ certPem, keyPem }: Omit<IdentityMaterial, 'rootPem'>): Promise<void> {
    const chain = parseChain(certPem);
    const leaf = leafOf(chain);
    checkIssuer(leaf, this.#root, chain.slice(1));
    const certificate = readCertificate(leaf);
    checkCurrent(certificate, this.clusterId, this.#clock.nowMs());
    await this.#save((present) => ({ certPem, keyPem, rootPem: present.rootPem }));
    this.#chain = chain;
    this.#certificate = certificate;
    for (const listener of this.#listeners) listener();
  }

  /**
   * Trusts another root from now on. Throws `failed-precondition` unless that root has issued this
   * node's own certificate: whoever else hears of the root could not tell that it is the swarm's.
   */
  async trustRoot(rootPem: string): Promise<void> {
    if (rootPem === this.rootPem) return;
    const root = parseCertificate(rootPem);
    if (issuerOf(leafOf(this.#chain), [root]) === undefined) {
      throw new SwarmError(
        'failed-precondition',
        "the swarm's new root has not issued this node's certificate: the certificate is renewed " +
          'first',
      );
    }
    await this.#save((present) => ({ ...present, rootPem }));
    this.#root = root;
    for (const listener of this.#listeners) listener();
  }

  /**
   * The root, and what it has signed to sign others: the new root, while that takes over. Nodes of
   * which the others are ahead need it, as those show their own certificates only by then.
   */
  get trustPem(): string {
    const signed = this.#between().filter((one) => issuerOf(one, [this.#root]) !== undefined);
    return [this.rootPem, ...new Set(signed.map((one) => one.toString()))].join('\n');
  }

  /** What the root has signed, and nothing else, is trusted from now on to sign for it. */
  trustIntermediates(pems: readonly string[]): void {
    const known = this.#between();
    const added = pems
      .map((pem) => parseCertificate(pem))
      .filter((one) => one.ca && issuerOf(one, [this.#root]) !== undefined)
      .filter((one) => !known.some(({ raw }) => raw.equals(one.raw)));
    if (added.length === 0) return;
    this.#intermediates = [...added, ...this.#intermediates].slice(0, intermediatesMax);
    for (const listener of this.#listeners) listener();
  }

  #between(): readonly X509Certificate[] {
    return [...this.#chain.slice(1), ...this.#intermediates];
  }

  /** From now on the private key is kept so; the file is written anew. */
  async protect(protection: KeyProtection = plainKey): Promise<void> {
    this.#protection = protection;
    await this.#save((present) => present);
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** One after another: two at once would mix their files. */
  async #save(next: (present: IdentityMaterial) => IdentityMaterial): Promise<void> {
    const done = this.#saving.then(async () => {
      const material = next(this.#material);
      await saveIdentity(this.folder, material, this.#protection);
      this.#material = material;
    });
    this.#saving = Promise.allSettled([done]);
    await done;
  }

  authenticate(certificate: Buffer, { verified }: { readonly verified: boolean }): NodePeer {
    const parsed = parseCertificate(certificate);
    if (!verified) checkIssuer(parsed, this.#root, this.#between());
    const peer = readCertificate(parsed);
    checkCurrent(peer, this.clusterId, this.#clock.nowMs());
    return peer;
  }

  /**
   * Who the holder of the first certificate (DER) is, which the others stand between and the root.
   * It may have expired: what shuts a node out is its removal. Throws `unauthenticated`.
   */
  authenticateChain(certificates: readonly Buffer[]): NodePeer {
    const [leaf, ...between] = certificates.map((der) => parseCertificate(der));
    if (leaf === undefined) throw new SwarmError('unauthenticated', 'there is no certificate');
    checkIssuer(leaf, this.#root, [...between, ...this.#between()]);
    const peer = readCertificate(leaf);
    checkCluster(peer, this.clusterId);
    return peer;
  }

  /** With the key of the certificate: ECDSA with SHA-256. */
  sign(data: Uint8Array): Buffer {
    return sign('sha256', data, this.keyPem);
  }

  /** For connections that show this node's certificate. */
  channelCredentials(): ChannelCredentials {
    const { certPem: cert, keyPem: key } = this.#material;
    const ca = this.trustPem;
    return credentials.createFromSecureContext(
      createSecureContext({ cert, key, ca, minVersion: 'TLSv1.3' }),
    );
  }

  /** A connection to a manager of this swarm, and to none but a manager. */
  connect(addr: string): Connection {
    return new Connection({
      addr,
      credentials: this.channelCredentials(),
      serverName: managerServerName,
    });
  }
}

function leafOf([leaf]: readonly X509Certificate[]): X509Certificate {
  if (leaf !== undefined) return leaf;
  throw new SwarmError('unauthenticated', 'there is no certificate');
}

/** A connection to a manager, verified by the root, that shows no certificate. */
export function connectWithoutCertificate(addr: string, rootPem: string): Connection {
  return new Connection({
    addr,
    credentials: credentials.createFromSecureContext(
      createSecureContext({ ca: rootPem, minVersion: 'TLSv1.3' }),
    ),
    serverName: managerServerName,
  });
}

/** Nobody's word is checked on it: only for what is verified by other means. */
export function connectUnverified(addr: string): Connection {
  return new Connection({
    addr,
    credentials: credentials.createSsl(null, null, null, {
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    }),
    serverName: managerServerName,
  });
}
