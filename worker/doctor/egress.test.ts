import { strict as assert } from 'node:assert';
import { examineEgress, judgeEgress, type EgressFacts } from './egress.ts';

describe('the way out of a host', () => {
  const cases: { name: string; facts: EgressFacts; expect: RegExp }[] = [
    {
      name: 'is there with a default route',
      facts: { forwards: true, routes: ['10.1.0.0/24', '0.0.0.0/0'] },
      expect: /^ok .*way out/,
    },
    {
      name: 'is not there without one',
      facts: { forwards: true, routes: ['10.1.0.0/24'] },
      expect: /^ok .*no default route/,
    },
    {
      name: 'is closed where nothing is forwarded',
      facts: { forwards: false, routes: ['0.0.0.0/0'] },
      expect: /^error .*ip_forward is 0/,
    },
  ];
  for (const { name, facts, expect } of cases) {
    it(name, () => {
      const [found, ...others] = judgeEgress(facts);
      assert.deepEqual(others, []);
      assert.match(`${found?.level} ${found?.text}`, expect);
    });
  }

  it('is read from the kernel', async () => {
    const [found] = await examineEgress();
    assert.equal(found?.check, 'egress');
  });
});
