import { strict as assert } from 'node:assert';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { CertificateAuthority } from '../../gen/ca_pb.js';
import { realClock, VirtualClock } from '../../lib/clock.ts';
import {
  connectWithoutCertificate,
  issuerInfo,
  joinCluster,
  keyAlgorithm,
  loadX509,
  NodeIdentity,
  remoteCertificates,
  renewOnce,
  rootDigest,
  signingAlgorithm,
} from '../../lib/identity/index.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Cluster, NodeDescription, SwarmSpec } from '../../types/index.ts';
import { createRootCa, crossSign, newRotation, RootRotator, waitingFor } from './index.ts';
import { emptySpec, newNode, startTestSwarm, type TestSwarm } from './testing.ts';

const signal = new AbortController().signal;
const keyOf = (pem: string) => issuerInfo(new X509Certificate(pem)).issuerPublicKey;

async function beginRotation(
  swarm: TestSwarm,
): Promise<NonNullable<Cluster['rootCa']['rotation']>> {
  const cluster = swarm.store.cluster()!;
  const next = await createRootCa(realClock);
  const rotation = { ...next, crossSignedPem: await crossSign(next, swarm.root, realClock) };
  await put(swarm, { ...cluster, rootCa: { ...cluster.rootCa, rotation } });
  return rotation;
}

async function put(swarm: TestSwarm, object: Cluster): Promise<void> {
  const { version } = swarm.store.cluster()!.meta;
  const result = await swarm.store.propose(
    [{ op: 'put', table: 'cluster', object, base: version }],
    { atMs: 1 },
  );
  assert.ok(result.applied);
}

/** A call that only a node of the swarm gets an answer to. */
async function isKnown(identity: NodeIdentity, swarm: TestSwarm): Promise<void> {
  await renewOnce(
    identity,
    remoteCertificates(identity, () => [swarm.addr]),
    signal,
  );
}

describe('a root that takes over from another', () => {
  let swarm: TestSwarm;
  beforeEach(async () => (swarm = await startTestSwarm()));
  afterEach(() => swarm[Symbol.asyncDispose]());

  it('issues certificates that those believe who know the old root only', async () => {
    const [before, late] = [await swarm.node(), await swarm.node()];
    const rotation = await beginRotation(swarm);
    const wanted = keyOf(rotation.certPem);
    await isKnown(before, swarm);
    assert.equal(before.tls.issuerPublicKey, wanted);
    assert.equal(before.tls.trustRoot, swarm.root.certPem);
    assert.notEqual(late.tls.issuerPublicKey, wanted);

    // The manager has a certificate of the new root, and shows it to one that knows the old root.
    const own = swarm.ca.ownCertificates(swarm.manager.nodeId);
    await renewOnce(swarm.manager, own, signal);
    assert.equal(swarm.manager.tls.issuerPublicKey, wanted);
    using connection = connectWithoutCertificate(swarm.addr, swarm.root.certPem);
    await connection.client(CertificateAuthority).getRootCertificate({});
    await isKnown(late, swarm);
    assert.equal(late.tls.issuerPublicKey, wanted);
    await isKnown(before, swarm);

    // Then it trusts the new root alone.
    await swarm.manager.trustRoot(rotation.certPem);
    await isKnown(before, swarm);
    await before.trustRoot(rotation.certPem);
    await isKnown(before, swarm);
    const again = await NodeIdentity.load(before.folder, realClock);
    assert.equal(again?.tls.trustRoot, rotation.certPem);
  });

  it('gives way to a third one, also for nodes that went over to it', async () => {
    const node = await swarm.node();
    await beginRotation(swarm);
    await isKnown(node, swarm);
    const cluster = swarm.store.cluster()!;
    const spec = { ...cluster.spec, ca: { forceRotate: 1 } };
    const third = await newRotation(cluster, spec, realClock);
    assert.ok(third !== undefined);
    await put(swarm, { ...cluster, rootCa: { ...cluster.rootCa, rotation: third } });
    await isKnown(node, swarm);
    assert.equal(node.tls.issuerPublicKey, keyOf(third.certPem));
  });

  it('lets hosts join while it takes over', async () => {
    const rotation = await beginRotation(swarm);
    const { worker } = swarm.cluster.rootCa.joinTokens;
    const { identity } = await joinCluster(
      {
        remoteAddrs: [swarm.addr],
        token: worker,
        availability: 'active',
        folder: await swarm.folder(),
      },
      { clock: realClock, log: silentLogger },
    );
    assert.equal(identity.tls.issuerPublicKey, keyOf(rotation.certPem));
    const loaded = await NodeIdentity.load(identity.folder, realClock);
    assert.equal(loaded?.nodeId, identity.nodeId);
  });

  it('is trusted by nobody whose certificate it has not issued', async () => {
    const node = await swarm.node();
    const other = await createRootCa(realClock);
    await assert.rejects(node.trustRoot(other.certPem), {
      code: 'failed-precondition',
      message: /new root has not issued this node's certificate/,
    });
    assert.equal(node.tls.trustRoot, swarm.root.certPem);
  });

  it('tells nodes of the old root, once it has taken over, to join again', async () => {
    const left = await swarm.node();
    const rotation = await beginRotation(swarm);
    await renewOnce(swarm.manager, swarm.ca.ownCertificates(swarm.manager.nodeId), signal);
    await swarm.manager.trustRoot(rotation.certPem);
    await assert.rejects(isKnown(left, swarm), {
      code: 'unauthenticated',
      message: /not issued by this swarm's root.*"ts-swarm leave --force".*join with a token/,
    });
  });

  it('waits for every node that has not said that it went over', async () => {
    const rotation = await beginRotation(swarm);
    const tls = { trustRoot: '', ...issuerInfo(new X509Certificate(rotation.certPem)) };
    const description = { tls } as unknown as NodeDescription;
    const done = { ...newNode('done'), description };
    assert.deepEqual(waitingFor(rotation.certPem, [done]), []);
    const old = { trustRoot: '', ...issuerInfo(new X509Certificate(swarm.root.certPem)) };
    const silent = newNode('silent');
    const stale = { ...newNode('stale'), description: { ...description, tls: old } };
    const ids = waitingFor(rotation.certPem, [done, silent, stale]).map(({ id }) => id);
    assert.deepEqual(ids, ['silent', 'stale']);
  });

  it('takes over with new join tokens when the last node went over', async () => {
    const rotation = await beginRotation(swarm);
    const clock = new VirtualClock();
    const proposed = Promise.withResolvers<void>();
    await using rotator = new RootRotator({
      store: swarm.store,
      propose: async (changes) => {
        await swarm.store.propose(changes, { atMs: 1 });
        proposed.resolve();
      },
      makeJoinToken: (rootPem) => `token of ${rootDigest(rootPem)}`,
      clock,
      log: silentLogger,
    });
    rotator.start();
    const looks = async () => {
      clock.advance(500);
      for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    };
    await looks();
    await looks();
    assert.ok(swarm.store.cluster()?.rootCa.rotation !== undefined, 'the manager is missing');
    const node = swarm.store.node(swarm.manager.nodeId)!;
    const tls = { trustRoot: '', ...issuerInfo(new X509Certificate(rotation.certPem)) };
    const object = { ...node, description: { tls } as unknown as NodeDescription };
    await swarm.store.propose([{ op: 'put', table: 'node', object, base: node.meta.version }], {
      atMs: 1,
    });
    await looks();
    await proposed.promise;
    const token = `token of ${rootDigest(rotation.certPem)}`;
    const { certPem, keyPem } = rotation;
    assert.deepEqual(swarm.store.cluster()?.rootCa, {
      certPem,
      keyPem,
      joinTokens: { worker: token, manager: token },
    });
  });
});

describe('a root that is asked for', () => {
  let swarm: TestSwarm;
  before(async () => (swarm = await startTestSwarm()));
  after(() => swarm[Symbol.asyncDispose]());
  const specOf = (ca: SwarmSpec['ca']): SwarmSpec => ({ ...emptySpec, ca });

  it('is made where a number is raised, and not otherwise', async () => {
    const rotation = await newRotation(swarm.cluster, specOf({ forceRotate: 1 }), realClock);
    assert.ok(rotation !== undefined);
    const root = new X509Certificate(rotation.certPem);
    assert.ok(root.checkPrivateKey(createPrivateKey(rotation.keyPem)));
    const crossSigned = new X509Certificate(rotation.crossSignedPem);
    assert.ok(crossSigned.verify(new X509Certificate(swarm.root.certPem).publicKey));
    assert.ok(crossSigned.publicKey.equals(root.publicKey));
    const asked = { ...swarm.cluster, spec: specOf({ forceRotate: 1 }) };
    assert.equal(await newRotation(asked, specOf({ forceRotate: 1 }), realClock), undefined);
    assert.equal(await newRotation(swarm.cluster, specOf({}), realClock), undefined);
  });

  it('is taken as given, or refused with the reason', async () => {
    const given = await createRootCa(realClock);
    const ca = { signingCaCert: given.certPem, signingCaKey: given.keyPem };
    const rotation = await newRotation(swarm.cluster, specOf(ca), realClock);
    assert.equal(keyOf(rotation?.certPem ?? ''), keyOf(given.certPem));

    const other = await createRootCa(realClock);
    const node = await swarm.node();
    const short = await shortRoot();
    const bad: [SwarmSpec['ca'], RegExp][] = [
      [{ signingCaKey: given.keyPem }, /the signing CA cert must also be provided/],
      [{ signingCaCert: given.certPem }, /the CA key must be given as well/],
      [{ signingCaCert: 'x', signingCaKey: given.keyPem }, /CA certificate cannot be read/],
      [{ signingCaCert: given.certPem, signingCaKey: 'x' }, /CA key cannot be read/],
      [{ signingCaCert: given.certPem, signingCaKey: other.keyPem }, /is not that of the CA cert/],
      [{ signingCaCert: node.certPem, signingCaKey: node.keyPem }, /must be a root/],
      [
        { signingCaCert: swarm.root.certPem, signingCaKey: swarm.root.keyPem },
        /is that of the present root/,
      ],
      [{ signingCaCert: short.certPem, signingCaKey: short.keyPem }, /valid for a year/],
    ];
    for (const [wrong, message] of bad) {
      const asked = newRotation(swarm.cluster, specOf(wrong), realClock);
      await assert.rejects(asked, { code: 'invalid-argument', message });
    }
  });
});

/** A root that ends in a month. */
async function shortRoot() {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=short',
    keys,
    signingAlgorithm,
    notBefore: new Date(realClock.nowMs() - 1000),
    notAfter: new Date(realClock.nowMs() + 30 * 24 * 3_600_000),
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certPem: certificate.toString('pem'), keyPem };
}
