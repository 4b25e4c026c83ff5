import { strict as assert } from 'node:assert';
import { VirtualClock } from '../clock.ts';
import { SwarmError } from '../errors.ts';
import { silentLogger } from '../log.ts';
import { seededRandom } from '../random.ts';
import type { NodeIdentity } from './identity.ts';
import { CertificateRenewer } from './renewer.ts';

const hourMs = 3_600_000;

describe('CertificateRenewer', () => {
  it('asks between half and four fifths of a life, and again after a failure', async () => {
    const clock = new VirtualClock();
    const startMs = clock.nowMs();
    const atHours: number[] = [];
    const identity = {
      notBeforeMs: startMs,
      notAfterMs: startMs + 100 * hourMs,
      get expired() {
        return clock.nowMs() > startMs + 100 * hourMs;
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
});
