import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { realClock } from '../../lib/clock.ts';
import { createSigningRequest, joinCluster } from '../../lib/identity/index.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRootCa } from './index.ts';
import { signLikeCfssl, startTestSwarm, type AskedOfCa, type TestSwarm } from './testing.ts';

describe('external certificate authorities', () => {
  let swarm: TestSwarm;
  let server: Server;
  let asked: AskedOfCa[];
  /** What the server does in the place of signing with the swarm's root. */
  let answer: ((asked: AskedOfCa) => Promise<object>) | undefined;
  let url: string;

  before(async () => {
    swarm = await startTestSwarm();
    const { csrPem, keyPem } = await createSigningRequest();
    const subject = { CN: 'signer', names: [] };
    const cert = await signLikeCfssl(swarm.root, {
      hosts: ['127.0.0.1'],
      subject,
      certificate_request: csrPem,
    });
    server = createServer({ cert, key: keyPem }, (request, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const wanted = JSON.parse(Buffer.concat(chunks).toString()) as AskedOfCa;
        asked.push(wanted);
        const given = await (answer ?? signed)(wanted);
        response.end(JSON.stringify(given));
      })();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/cfssl/sign`;
  });
  after(async () => {
    server.close();
    await swarm[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    asked = [];
    answer = undefined;
  });

  const signed = async (wanted: AskedOfCa) => ({
    success: true,
    result: { certificate: await signLikeCfssl(swarm.root, wanted) },
    errors: [],
    messages: [],
  });
  const use = async (urls: readonly string[], caCert = swarm.root.certPem) => {
    const cluster = swarm.store.cluster()!;
    const externalCas = urls.map((one) => ({ protocol: 'cfssl', url: one, caCert }));
    const object = { ...cluster, spec: { ...cluster.spec, ca: { externalCas } } };
    const base = cluster.meta.version;
    await swarm.store.propose([{ op: 'put', table: 'cluster', object, base }], { atMs: 0 });
  };
  const join = async (role: 'worker' | 'manager') =>
    joinCluster(
      {
        remoteAddrs: [swarm.addr],
        token: swarm.store.cluster()!.rootCa.joinTokens[role],
        availability: 'active',
        folder: await swarm.folder(),
      },
      { clock: realClock, log: silentLogger },
    );

  for (const role of ['worker', 'manager'] as const) {
    it(`sign for a ${role}`, async () => {
      await use([url]);
      const { identity } = await join(role);
      assert.equal(identity.role, role);
      const names = [{ O: swarm.cluster.id, OU: `swarm-${role}` }];
      assert.deepEqual(asked[0]?.subject, { CN: identity.nodeId, names });
      const own = role === 'manager' ? ['swarm-manager', 'swarm-ca'] : [];
      assert.deepEqual(asked[0]?.hosts, [...own, identity.nodeId]);
    });
  }

  it('are asked in turn, and the first that signs is enough', async () => {
    await use(['https://127.0.0.1:9/none', url]);
    await join('worker');
    assert.equal(asked.length, 1);
  });

  it('are not asked where they sign with another root', async () => {
    await use([url], (await createRootCa(realClock)).certPem);
    await join('worker');
    assert.equal(asked.length, 0);
  });

  const wrong: readonly [string, (wanted: AskedOfCa) => Promise<object>, RegExp][] = [
    [
      'refuse',
      async () => ({ success: false, result: null, errors: [{ code: 5, message: 'not you' }] }),
      /no external CA signs: https:.*it says: not you/,
    ],
    ['say nothing', async () => ({}), /it signs nothing/],
    [
      'sign for another name',
      (wanted) => signed({ ...wanted, subject: { ...wanted.subject, CN: 'a'.repeat(25) } }),
      /is for another name/,
    ],
    [
      'sign for another role',
      (wanted) => {
        const names = wanted.subject.names.map(({ O }) => ({ O, OU: 'swarm-manager' }));
        return signed({ ...wanted, subject: { ...wanted.subject, names } });
      },
      /is for another name/,
    ],
    [
      'sign with another root',
      async (wanted) => {
        const certificate = await signLikeCfssl(await createRootCa(realClock), wanted);
        return { success: true, result: { certificate } };
      },
      /has not signed with the swarm's root/,
    ],
    [
      'give what they gave before',
      async (wanted) => {
        const { csrPem } = await createSigningRequest();
        return signed({ ...wanted, certificate_request: csrPem });
      },
      /is of another key/,
    ],
  ];
  for (const [what, does, says] of wrong) {
    it(`let nobody in where they ${what}`, async () => {
      await use([url]);
      answer = does;
      await assert.rejects(join('worker'), says);
    });
  }
});
