import { strict as assert } from 'node:assert';
import { parseChallenges, type Challenge } from './challenge.ts';

describe('WWW-Authenticate', () => {
  const cases: readonly { given: string; expect: readonly Challenge[] }[] = [
    { given: '', expect: [] },
    {
      given:
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",' +
        'scope="repository:library/busybox:pull"',
      expect: [
        {
          scheme: 'bearer',
          parameters: {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:library/busybox:pull',
          },
        },
      ],
    },
    {
      given: 'Basic realm="a \\"quoted\\" realm, with comma"',
      expect: [{ scheme: 'basic', parameters: { realm: 'a "quoted" realm, with comma' } }],
    },
    {
      given: 'BEARER Realm=https://r/t , service = "s"',
      expect: [{ scheme: 'bearer', parameters: { realm: 'https://r/t', service: 's' } }],
    },
    {
      given: 'Negotiate, Basic realm="x", Bearer realm="https://r",service="s"',
      expect: [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'x' } },
        { scheme: 'bearer', parameters: { realm: 'https://r', service: 's' } },
      ],
    },
    { given: 'realm="lost"', expect: [] },
    { given: '"', expect: [] },
  ];
  for (const { given, expect } of cases) {
    it(JSON.stringify(given), () => assert.deepEqual(parseChallenges(given), expect));
  }
});
