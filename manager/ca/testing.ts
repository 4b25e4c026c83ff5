/** A swarm's trust for tests: a real root, a real store in memory, a real port on loopback. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from '../../gen/ca_pb.js';
import { realClock, type Clock } from '../../lib/clock.ts';
import { ClusterServer } from '../../lib/grpc/index.ts';
import {
  createJoinToken,
  loadX509,
  NodeIdentity,
  signingAlgorithm,
} from '../../lib/identity/index.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import type { Cluster, Node, NodeRole, SwarmSpec } from '../../types/index.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeCluster } from '../store/testing.ts';
import { CertificateAuthorityService, createRootCa, issueForSelf, type RootCa } from './index.ts';
import { signingKeyOf } from './issue.ts';

export interface TestSwarm extends AsyncDisposable {
  readonly root: RootCa;
  readonly cluster: Cluster;
  readonly store: Store;
  readonly log: MemoryLog;
  readonly manager: NodeIdentity;
  readonly server: ClusterServer;
  readonly addr: string;
  readonly ca: CertificateAuthorityService;
  /** A new folder, removed at the end. */
  folder(): Promise<string>;
  /** An identity issued directly, and its node in the store. */
  node(role?: NodeRole): Promise<NodeIdentity>;
  /** An identity whose node the store does not know. */
  identity(subject: { role?: NodeRole; clusterId?: string }, clock?: Clock): Promise<NodeIdentity>;
}

export const emptySpec: SwarmSpec = {
  name: 'default',
  labels: {},
  orchestration: {},
  raft: {},
  dispatcher: {},
  ca: {},
  taskDefaults: {},
  encryption: { autoLockManagers: false },
};

export async function startTestSwarm(spec: Partial<SwarmSpec> = {}): Promise<TestSwarm> {
  const clock = realClock;
  const folders: string[] = [];
  const folder = async () => {
    const path = await mkdtemp(join(tmpdir(), 'swarm-identity-'));
    folders.push(path);
    return path;
  };
  const root = await createRootCa(clock);
  const cluster = newCluster(root, { ...emptySpec, ...spec });
  const log = new MemoryLog();
  const store = new Store(log);
  await store.open();
  const atMs = clock.nowMs();
  await store.propose([{ op: 'put', table: 'cluster', object: cluster, base: 0 }], { atMs });
  const identity: TestSwarm['identity'] = async (subject, issuedBy = clock) => {
    const { role = 'worker', clusterId = cluster.id } = subject;
    const options = { lifeMs: undefined, clock: issuedBy };
    const material = await issueForSelf(root, { role, clusterId }, options);
    return NodeIdentity.create(await folder(), material, clock);
  };
  const node = async (role: NodeRole = 'worker') => {
    const created = await identity({ role });
    await proposeNode(newNode(created.nodeId, role));
    return created;
  };
  const proposeNode = async (object: Node) => {
    await store.propose([{ op: 'put', table: 'node', object, base: 0 }], { atMs: clock.nowMs() });
  };
  const ca = new CertificateAuthorityService({
    view: store,
    catchUp: async () => void (await store.read()),
    proposeNode,
    clock,
    log: silentLogger,
  });
  const manager = await node('manager');
  const server = new ClusterServer({
    listenAddr: '127.0.0.1:0',
    identity: manager,
    isRemoved: (id) => store.cluster()?.removedNodes[id] !== undefined,
    log: silentLogger,
  });
  server.addService(CertificateAuthority, ca.handlers, { allow: 'anyone' });
  const { addr } = await server.listen();
  return {
    root,
    cluster,
    store,
    log,
    manager,
    server,
    addr,
    ca,
    folder,
    node,
    identity,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      for (const path of folders) await rm(path, { recursive: true });
    },
  };
}

function newCluster(root: RootCa, spec: SwarmSpec): Cluster {
  const token = () => createJoinToken(root.certPem, systemRandom);
  const rootCa = { ...root, joinTokens: { worker: token(), manager: token() } };
  return makeCluster(systemRandom.id(), { spec, rootCa });
}

export function newNode(id: string, role: NodeRole = 'worker'): Node {
  return {
    id,
    meta: { version: 0, createdAtMs: 0, updatedAtMs: 0 },
    spec: { labels: {}, role, availability: 'active' },
    role,
    status: { state: 'unknown', message: '', addr: '127.0.0.1', atMs: 0 },
  };
}

/** What is sent to a CA that speaks CFSSL's protocol. */
export interface AskedOfCa {
  readonly hosts: string[];
  readonly certificate_request: string;
  readonly subject: { readonly CN: string; readonly names: { O: string; OU: string }[] };
}

/** Signs as CFSSL's server does: with its own key, the subject and hosts of the request. */
export async function signLikeCfssl(
  root: RootCa,
  { hosts, subject, certificate_request: csrPem }: AskedOfCa,
): Promise<string> {
  const x509 = await loadX509();
  const csr = new x509.Pkcs10CertificateRequest(csrPem);
  const [{ O, OU } = { O: '', OU: '' }] = subject.names;
  const usage = x509.ExtendedKeyUsage;
  const certificate = await x509.X509CertificateGenerator.create({
    publicKey: csr.publicKey,
    signingKey: await signingKeyOf(root),
    signingAlgorithm,
    issuer: new x509.X509Certificate(root.certPem).subjectName,
    subject: [{ O: [O] }, { OU: [OU] }, { CN: [subject.CN] }],
    notBefore: new Date(realClock.nowMs() - 60_000),
    notAfter: new Date(realClock.nowMs() + 24 * 3_600_000),
    extensions: [
      new x509.ExtendedKeyUsageExtension([usage.clientAuth, usage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: value.includes('.') ? 'ip' : 'dns', value }) as const),
      ),
    ],
  });
  return certificate.toString('pem');
}
