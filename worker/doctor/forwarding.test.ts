import { strict as assert } from 'node:assert';
import { judgeForwarding, type Ruleset } from './forwarding.ts';

const chain = (policy: string, hook = 'forward') => ({
  chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook, policy },
});
const rule = (key: string, link: string, verdict = 'accept', table = 'filter') => ({
  rule: {
    family: 'ip',
    table,
    chain: 'FORWARD',
    expr: [
      { match: { op: '==', left: { meta: { key } }, right: link } },
      { counter: { packets: 0, bytes: 0 } },
      { [verdict]: null },
    ],
  },
});

describe('the examination of what is forwarded', () => {
  const both = [rule('iifname', 'ts-swarm0'), rule('oifname', 'ts-swarm0')];
  const cases: readonly (readonly [string, Ruleset['nftables'], 'ok' | 'error'])[] = [
    ['no rules at all', [], 'ok'],
    ['a policy that accepts', [chain('accept')], 'ok'],
    ['a policy of another hook', [chain('drop', 'input')], 'ok'],
    ['a policy that drops', [chain('drop')], 'error'],
    ['one way accepted only', [chain('drop'), both[0]!], 'error'],
    ['both ways accepted', [chain('drop'), ...both], 'ok'],
    ['others accepted', [chain('drop'), rule('iifname', 'docker0'), rule('oifname', 'x')], 'error'],
    [
      'accepted elsewhere',
      [
        chain('drop'),
        rule('iifname', 'ts-swarm0', 'accept', 'mine'),
        rule('oifname', 'ts-swarm0', 'accept', 'mine'),
      ],
      'error',
    ],
  ];
  for (const [name, nftables, level] of cases) {
    it(`judges ${name}`, () => {
      const [found] = judgeForwarding({ nftables }, ['ts-swarm0']);
      assert.equal(found?.level, level);
      if (level === 'error') assert.match(found?.text ?? '', /FORWARD of the table ip filter/);
    });
  }
});
