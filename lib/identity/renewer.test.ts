import { strict as assert } from 'node:assert';
import { VirtualClock } from '../clock.ts';
import { SwarmError } from '../errors.ts';
import { silentLogger } from '../log.ts';
import { seededRandom } from '../random.ts';
import { createSigningRequest } from './csr.ts';
import type { NodeIdentity } from './identity.ts';
import { CertificateRenewer, managersCertificates, type CertificateSource } from './renewer.ts';

const hourMs = 3_600_000;

describe('CertificateRenewer', () => {
  it('asks between half and four fifths of a life, and again after a failure', async () => {
    const clock = new VirtualClock();
    const startMs = clock.nowMs();
    const atHours: number[] = [];
    const identity = {
      notBeforeMs: startMs,
      notAfterMs: startMs + 100 * hourMs,
      get isCurrent() {
        return clock.nowMs() <= startMs + 100 * hourMs;
      },
      keyPem: '',
      certPem: '',
    } as NodeIdentity;
    const source = {
      renew: () => {
        atHours.push((clock.nowMs() - startMs) / hourMs);
        return Promise.reject(new SwarmError('unavailable', 'no manager'));
      },
    };
    const parts = { identity, source, clock, random: seededRandom(7), log: silentLogger };
    await using renewer = new CertificateRenewer(parts);
    renewer.start();
    while (atHours.length < 2) {
      const nextMs = clock.nextTimerMs();
      if (nextMs !== undefined) clock.advance(nextMs - clock.nowMs());
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [first = 0, second = 0] = atHours;
    assert.ok(first >= 50 && first <= 80, `first after ${first} h`);
    assert.ok(second > first && second < first + 0.001);
  });

  for (const { name, again } of [
    { name: 'the root', again: (renewer: CertificateRenewer) => renewer.renewWithin(0) },
    { name: 'the role', again: (renewer: CertificateRenewer) => renewer.renewNow() },
  ]) {
    it(`renews again what is out of date by ${name} as soon as it is there`, async () => {
      const clock = new VirtualClock();
      const twice = Promise.withResolvers<void>();
      let replaced = 0;
      const identity = {
        notBeforeMs: clock.nowMs(),
        notAfterMs: clock.nowMs() + 100 * hourMs,
        isCurrent: true,
        replace: () => {
          replaced += 1;
          if (replaced === 1) again(renewer);
          else twice.resolve();
          return Promise.resolve();
        },
      } as unknown as NodeIdentity;
      const source = { renew: () => Promise.resolve({ certPem: '' }) };
      const parts = { identity, source, clock, random: seededRandom(7), log: silentLogger };
      await using renewer = new CertificateRenewer(parts);
      renewer.start();
      renewer.renewNow();
      await twice.promise;
    });
  }

  it('asks at once where the certificate is not valid yet', async () => {
    const clock = new VirtualClock();
    const aheadMs = clock.nowMs() + 1000 * hourMs;
    const { keyPem, csrPem: certPem } = await createSigningRequest();
    const identity = {
      notBeforeMs: aheadMs,
      notAfterMs: aheadMs + 100 * hourMs,
      isCurrent: false,
      keyPem,
      certPem,
    } as NodeIdentity;
    const asked = Promise.withResolvers<string | undefined>();
    const source: CertificateSource = {
      renew: ({ previousCertificatePem }) => {
        asked.resolve(previousCertificatePem);
        return Promise.reject(new SwarmError('unavailable', 'no manager'));
      },
    };
    const parts = { identity, source, clock, random: seededRandom(7), log: silentLogger };
    await using renewer = new CertificateRenewer(parts);
    renewer.start();
    assert.equal(await asked.promise, certPem);
  });
});

describe('managersCertificates', () => {
  const expired = { csrPem: '', previousCertificatePem: 'expired' };
  for (const { name, leads = false, failure, request = { csrPem: '' }, expect } of [
    { name: 'its own, of the one that leads', leads: true, expect: 'own' },
    { name: "another's, of one that follows", expect: 'remote' },
    { name: "another's, of one that follows and has expired", request: expired, expect: 'remote' },
    { name: 'none that no other has to give', failure: 'unavailable', expect: 'unavailable' },
    {
      name: 'its own, where it has expired and nobody can be reached',
      failure: 'unavailable',
      request: expired,
      expect: 'own',
    },
    {
      name: 'its own, where it has expired and nobody answers',
      failure: 'deadline-exceeded',
      request: expired,
      expect: 'own',
    },
    {
      name: 'none where it was removed while it was off',
      failure: 'permission-denied',
      request: expired,
      expect: 'permission-denied',
    },
  ] as const) {
    it(`gives ${name}`, async () => {
      const given = (certPem: string): CertificateSource => ({
        renew: () => Promise.resolve({ certPem }),
      });
      const remote: CertificateSource =
        failure === undefined
          ? given('remote')
          : { renew: () => Promise.reject(new SwarmError(failure, 'refused')) };
      const own = { source: given('own'), leads: () => leads };
      const source = managersCertificates(own, { remote, log: silentLogger });
      const result = await source.renew(request, { signal: new AbortController().signal }).then(
        ({ certPem }) => certPem,
        (error: unknown) => SwarmError.from(error).code,
      );
      assert.equal(result, expect);
    });
  }
});
