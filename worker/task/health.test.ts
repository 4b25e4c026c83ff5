import { strict as assert } from 'node:assert';
import { afterProbe, initialHealth, probeDelayMs, type ResolvedHealthCheck } from './health.ts';

const check: ResolvedHealthCheck = {
  argv: ['true'],
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
};

describe('health', () => {
  const after = (results: readonly boolean[], more: Partial<ResolvedHealthCheck> = {}) =>
    results.reduce(
      (state, passed, index) =>
        afterProbe(state, { ...check, ...more }, { passed, atMs: (index + 1) * 1000 }),
      initialHealth(0),
    );

  const table: [string, readonly boolean[], Partial<ResolvedHealthCheck>, string][] = [
    ['is starting before the first result', [], {}, 'starting'],
    ['is healthy after one success', [true], {}, 'healthy'],
    ['is still starting after too few failures', [false, false], {}, 'starting'],
    ['is unhealthy after as many as retries', [false, false, false], {}, 'unhealthy'],
    ['stays healthy while failures are few', [true, false, false], {}, 'healthy'],
    ['begins to count anew after a success', [false, false, true, false, false], {}, 'healthy'],
    ['falls from healthy', [true, false, false, false], {}, 'unhealthy'],
    [
      'does not count within the start period',
      Array(5).fill(false),
      { startPeriodMs: 1e4 },
      'starting',
    ],
    [
      'counts after a success within the start period',
      [true, false, false, false],
      { startPeriodMs: 1e4 },
      'unhealthy',
    ],
  ];
  for (const [name, results, more, expected] of table) {
    it(name, () => assert.equal(after(results, more).health, expected));
  }

  it('probes more often within the start period', () => {
    const slow = { ...check, startPeriodMs: 10_000 };
    assert.equal(probeDelayMs(initialHealth(0), slow, 0), 5_000);
    assert.equal(probeDelayMs(initialHealth(0), slow, 10_000), 30_000);
    assert.equal(probeDelayMs(initialHealth(0), check, 0), 30_000);
  });
});
