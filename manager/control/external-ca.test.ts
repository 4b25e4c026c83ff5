import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import type { Cluster, ExternalCa, RootRotation } from '../../types/index.ts';
import { createRootCa } from '../ca/index.ts';
import { makeCluster } from '../store/testing.ts';
import { externalAfterRoot, updatedCluster } from './update-cluster.ts';
import { validateCluster } from './validate-cluster.ts';

const url = 'https://ca.example/api/v1/cfssl/sign';
const makers = { makeJoinToken: () => 'token', makeUnlockKey: () => 'key' };

describe('external CAs of a swarm', () => {
  let cluster: Cluster;
  let otherPem: string;
  before(async () => {
    const [root, other] = [await createRootCa(new VirtualClock()), new VirtualClock()];
    otherPem = (await createRootCa(other)).certPem;
    const { rootCa } = makeCluster('c');
    cluster = makeCluster('c', { rootCa: { ...rootCa, ...root } });
  });
  const update = (present: Cluster, externalCas: readonly ExternalCa[], rotation?: RootRotation) =>
    updatedCluster(
      present,
      {
        version: 0,
        spec: { ...present.spec, ca: { externalCas } },
        rotateWorkerToken: false,
        rotateManagerToken: false,
        ...(rotation === undefined ? {} : { rotation }),
      },
      makers,
    ).spec.ca.externalCas;

  it('sign with the root that the swarm has when they are named', () => {
    const caCert = cluster.rootCa.certPem;
    const named = update(cluster, [{ protocol: 'cfssl', url }]);
    assert.deepEqual(named, [{ protocol: 'cfssl', url, caCert }]);
    assert.deepEqual(update(cluster, [{ protocol: 'cfssl', url, caCert }]), named);
    assert.deepEqual(update(cluster, []), []);
    const foreign = () => update(cluster, [{ protocol: 'cfssl', url, caCert: otherPem }]);
    assert.throws(foreign, { code: 'invalid-argument', message: /another root than this swarm's/ });
  });

  it('are not named while the root is changed, and stay where they were named before', () => {
    const rotation: RootRotation = { certPem: otherPem, keyPem: '', crossSignedPem: '' };
    const late = () => update(cluster, [{ protocol: 'cfssl', url }], rotation);
    assert.throws(late, { code: 'invalid-argument', message: externalAfterRoot });
    const externalCas = update(cluster, [{ protocol: 'cfssl', url }])!;
    const having = { ...cluster, spec: { ...cluster.spec, ca: { externalCas } } };
    const rotated = { ...having, rootCa: { ...having.rootCa, certPem: otherPem } };
    assert.deepEqual(update(having, externalCas, rotation), externalCas);
    assert.deepEqual(update(rotated, externalCas), externalCas);
  });

  const wrong: readonly [Partial<ExternalCa>, RegExp][] = [
    [{ protocol: 'acme' }, /is of the protocol "acme", and can be of cfssl/],
    [{ url: 'http://ca.example' }, /"http:\/\/ca\.example" is no address: give url=https/],
    [{ url: 'ca' }, /is no address/],
    [{ options: { profile: 'x' } }, /has the option profile, and takes url and cacert alone/],
    [{ caCert: 'x' }, /the cacert of the external CA .* cannot be read: is it PEM/],
  ];
  for (const [given, says] of wrong) {
    it(`are refused with ${JSON.stringify(given)}`, () => {
      const externalCas = [{ protocol: 'cfssl', url, ...given }];
      const check = () => validateCluster({ ...cluster.spec, ca: { externalCas } });
      assert.throws(check, { code: 'invalid-argument', message: says });
    });
  }
});
