import { strict as assert } from 'node:assert';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, createSecureContext } from 'node:tls';
import { credentials } from '@grpc/grpc-js';
import { CertificateAuthority } from '../../gen/ca_pb.js';
import { Control } from '../../gen/control_pb.js';
import { realClock, VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { ClusterServer, Connection, parseAddr, type NodePeer } from '../../lib/grpc/index.ts';
import {
  connectWithoutCertificate,
  createJoinToken,
  createSigningRequest,
  joinCluster,
  NodeIdentity,
  remoteCertificates,
  renewOnce,
} from '../../lib/identity/index.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { createRootCa, issueForSelf } from './index.ts';
import { newNode, startTestSwarm, type TestSwarm } from './testing.ts';

const dayMs = 24 * 3_600_000;
const parts = { clock: realClock, log: silentLogger };

describe('manager/ca', () => {
  let swarm: TestSwarm;
  let callers: (NodePeer | undefined)[];

  before(async () => {
    swarm = await startTestSwarm();
    const handlers = {
      call: async (_request: unknown, { peer }: { peer: NodePeer | undefined }) => {
        callers.push(peer);
        return { result: new Uint8Array() };
      },
    };
    swarm.server.addService(Control, handlers, { allow: 'managers' });
  });
  after(() => swarm[Symbol.asyncDispose]());
  beforeEach(() => {
    callers = [];
  });

  const joinWith = async (token: string, remoteAddrs: readonly string[] = [swarm.addr]) =>
    joinCluster(
      { remoteAddrs, token, availability: 'active', folder: await swarm.folder() },
      parts,
    );
  for (const role of ['worker', 'manager'] as const) {
    it(`gives a host its identity as a ${role} for the ${role}s' token`, async () => {
      const { identity } = await joinWith(swarm.cluster.rootCa.joinTokens[role]);
      assert.equal(identity.role, role);
      assert.equal(identity.clusterId, swarm.cluster.id);
      const node = swarm.store.node(identity.nodeId);
      assert.equal(node?.role, role);
      assert.equal(node?.spec.availability, 'active');
      assert.equal(node?.status.addr, '127.0.0.1');
      const certificate = new X509Certificate(identity.certPem);
      const lifeMs = Date.parse(certificate.validTo) - Date.now();
      assert.ok(Math.abs(lifeMs - 90 * dayMs) < 60_000);
      assert.ok(Date.now() - Date.parse(certificate.validFrom) > 3_500_000);
      assert.equal(certificate.subjectAltName?.includes('swarm-manager'), role === 'manager');
      assert.equal((await stat(join(identity.folder, 'node.key'))).mode & 0o777, 0o600);
      const loaded = await NodeIdentity.load(identity.folder, realClock);
      assert.equal(loaded?.certPem, identity.certPem);
    });
  }

  it('asks the next manager where one cannot be reached', async () => {
    const { addr } = await joinWith(swarm.cluster.rootCa.joinTokens.worker, [
      '127.0.0.1:1',
      swarm.addr,
    ]);
    assert.equal(addr, swarm.addr);
  });

  it('says why a manager cannot be reached', async () => {
    const join = joinWith(swarm.cluster.rootCa.joinTokens.worker, ['127.0.0.1:1']);
    await assert.rejects(join, {
      code: 'unavailable',
      message: /^127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED/,
    });
  });

  it('refuses tokens that are malformed, of another swarm, or wrong', async () => {
    const other = await createRootCa(realClock);
    const cases = [
      { token: 'SWMTKN-1-nonsense', message: /^invalid join token/ },
      {
        token: createJoinToken(other.certPem, systemRandom),
        message: /^remote CA does not match fingerprint\. Expected: /,
      },
      {
        token: createJoinToken(swarm.root.certPem, systemRandom),
        message: /^A valid join token is necessary to join this cluster/,
      },
    ];
    const nodes = [...swarm.store.nodes()].length;
    for (const { token, message } of cases) await assert.rejects(joinWith(token), { message });
    assert.equal([...swarm.store.nodes()].length, nodes);
  });

  it('makes one node of a host that asks twice', async () => {
    const { csrPem } = await createSigningRequest();
    using connection = connectWithoutCertificate(swarm.addr, swarm.root.certPem);
    const ca = connection.client(CertificateAuthority);
    const joinToken = swarm.cluster.rootCa.joinTokens.worker;
    const first = await ca.issueCertificate({ csrPem, joinToken });
    const second = await ca.issueCertificate({ csrPem, joinToken });
    assert.equal(first.nodeId, second.nodeId);
  });

  it('refuses requests that are garbage', async () => {
    using connection = connectWithoutCertificate(swarm.addr, swarm.root.certPem);
    const ca = connection.client(CertificateAuthority);
    const joinToken = swarm.cluster.rootCa.joinTokens.worker;
    for (const csrPem of ['', 'nonsense', 'x'.repeat(10_000)]) {
      await assert.rejects(ca.issueCertificate({ csrPem, joinToken }), {
        code: 'invalid-argument',
        message: /^the certificate request is not good/,
      });
    }
  });

  it('lets a manager through and tells the service who calls', async () => {
    await call(swarm.manager.connect(swarm.addr));
    assert.equal(callers[0]?.nodeId, swarm.manager.nodeId);
    assert.equal(callers[0]?.role, 'manager');
  });

  describe('refuses, with a sentence that says what to do, a caller', () => {
    const refusals: {
      name: string;
      connect: () => Promise<Connection>;
      code: string;
      message: RegExp;
    }[] = [
      {
        name: 'that shows no certificate',
        connect: async () => connectWithoutCertificate(swarm.addr, swarm.root.certPem),
        code: 'unauthenticated',
        message: /needs the certificate of a node, and none was shown/,
      },
      {
        name: 'that is a worker, where managers may call',
        connect: async () => (await swarm.node('worker')).connect(swarm.addr),
        code: 'permission-denied',
        message: /is a worker, and this call is for managers only; promote it/,
      },
      {
        name: 'whose certificate has expired',
        connect: async () => (await expired()).connect(swarm.addr),
        code: 'unauthenticated',
        message: /^the certificate of node \w+ expired on 20/,
      },
      {
        name: 'whose certificate names another cluster',
        connect: async () => {
          const identity = await swarm.identity({ role: 'manager', clusterId: 'another' });
          return identity.connect(swarm.addr);
        },
        code: 'unauthenticated',
        message: /is of swarm another, not of/,
      },
      {
        name: 'whose certificate another root has signed',
        connect: async () => {
          const subject = { role: 'manager' as const, clusterId: swarm.cluster.id };
          const options = { lifeMs: undefined, clock: realClock };
          const material = await issueForSelf(await createRootCa(realClock), subject, options);
          const { certPem: cert, keyPem: key } = material;
          const context = createSecureContext({ cert, key, ca: swarm.root.certPem });
          return new Connection({
            addr: swarm.addr,
            credentials: credentials.createFromSecureContext(context),
            serverName: 'swarm-manager',
          });
        },
        code: 'unauthenticated',
        message: /^the node's certificate was not issued by this swarm's root/,
      },
      {
        name: 'that has been removed',
        connect: async () => {
          const identity = await remove(await swarm.node('manager'));
          return identity.connect(swarm.addr);
        },
        code: 'permission-denied',
        message: /has been removed from the swarm; run "ts-swarm leave"/,
      },
    ];

    for (const { name, connect, code, message } of refusals) {
      it(name, async () => {
        using connection = await connect();
        const call = connection.client(Control).call({ method: 'x' }, { timeoutMs: 5_000 });
        await assert.rejects(call, (error) => {
          assert.ok(error instanceof SwarmError);
          assert.equal(error.code, code);
          assert.match(error.message, message);
          return true;
        });
        assert.deepEqual(callers, []);
      });
    }
  });

  it('is refused by a node, where it is no manager of its swarm', async () => {
    const worker = await swarm.node('worker');
    const foreign = await startTestSwarm();
    await using impostor = new ClusterServer({
      listenAddr: '127.0.0.1:0',
      identity: worker,
      isRemoved: () => false,
      log: silentLogger,
    });
    const { addr } = await impostor.listen();
    await assert.rejects(call(worker.connect(addr)), {
      code: 'unavailable',
      message: /its certificate is not that of a manager/,
    });
    await assert.rejects(call(worker.connect(foreign.addr)), {
      code: 'unavailable',
      message: /its certificate was not issued by this swarm's root/,
    });
    await foreign[Symbol.asyncDispose]();
  });

  it('renews a certificate over mutual TLS, for a new key', async () => {
    const worker = await swarm.node('worker');
    const before = { cert: worker.certPem, key: worker.keyPem, id: worker.nodeId };
    await renewOnce(worker, source(worker), never);
    assert.notEqual(worker.certPem, before.cert);
    assert.notEqual(worker.keyPem, before.key);
    assert.equal(worker.nodeId, before.id);
    const loaded = await NodeIdentity.load(worker.folder, realClock);
    assert.equal(loaded?.keyPem, worker.keyPem);
  });

  it('gives the role that the node now has', async () => {
    const worker = await swarm.node('worker');
    const node = swarm.store.node(worker.nodeId);
    assert.ok(node);
    const object = { ...node, role: 'manager' as const };
    const change = { op: 'put', table: 'node', object, base: node.meta.version } as const;
    await swarm.store.propose([change], { atMs: 0 });
    await renewOnce(worker, source(worker), never);
    assert.equal(worker.role, 'manager');
    await call(worker.connect(swarm.addr));
  });

  it('renews a certificate that has expired while the host was off', async () => {
    const worker = await expired();
    const change = { op: 'put', table: 'node', object: newNode(worker.nodeId), base: 0 } as const;
    await swarm.store.propose([change], { atMs: 0 });
    assert.ok(!worker.isCurrent);
    await renewOnce(worker, source(worker), never);
    assert.ok(worker.isCurrent);
    await renewOnce(worker, source(worker), never);
  });

  it('does not renew for a removed node, nor for one that only has seen a certificate', async () => {
    const gone = await remove(await expired());
    await assert.rejects(renewOnce(gone, source(gone), never), { code: 'permission-denied' });
    const withOthers = remoteCertificates(gone, () => [swarm.addr, '127.0.0.1:1']);
    await assert.rejects(renewOnce(gone, withOthers, never), { code: 'permission-denied' });
    const victim = await expired();
    const { csrPem } = await createSigningRequest();
    const request = { csrPem, previousCertificatePem: victim.certPem };
    await assert.rejects(source(victim).renew(request, { signal: never }), {
      code: 'unauthenticated',
      message: /not signed with the key of node/,
    });
  });

  it('replaces its own certificate without closing the port or any connection', async () => {
    using open = swarm.manager.connect(swarm.addr);
    const control = open.client(Control);
    await control.call({ method: 'before' });
    const before = swarm.manager.certPem;
    await renewOnce(swarm.manager, swarm.ca.ownCertificates(swarm.manager.nodeId), never);
    await control.call({ method: 'over the old connection' });
    const { host, port } = parseAddr(swarm.addr);
    const socket = connect({ host, port, ca: swarm.root.certPem, servername: 'swarm-manager' });
    await once(socket, 'secureConnect');
    assert.equal(socket.getProtocol(), 'TLSv1.3');
    const shown = socket.getPeerX509Certificate();
    socket.destroy();
    assert.equal(shown?.fingerprint256, new X509Certificate(swarm.manager.certPem).fingerprint256);
    assert.notEqual(shown?.fingerprint256, new X509Certificate(before).fingerprint256);
  });

  const never = new AbortController().signal;
  const source = (identity: NodeIdentity) => remoteCertificates(identity, () => [swarm.addr]);
  const expired = () =>
    swarm.identity({ role: 'manager' }, new VirtualClock(Date.now() - 100 * dayMs));
  const call = async (connection: Connection) => {
    using open = connection;
    await open.client(Control).call({ method: 'x' }, { timeoutMs: 5_000 });
  };
  const remove = async (identity: NodeIdentity) => {
    const cluster = swarm.store.cluster();
    assert.ok(cluster);
    const removedNodes = { ...cluster.removedNodes, [identity.nodeId]: identity.notAfterMs };
    const object = { ...cluster, removedNodes };
    const change = { op: 'put', table: 'cluster', object, base: cluster.meta.version } as const;
    await swarm.store.propose([change], { atMs: 0 });
    return identity;
  };
});
