import { strict as assert } from 'node:assert';
import { judgeForwarding, judgeLegacy } from './forwarding.ts';
import type { Ruleset } from './rules.ts';

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

const ends = (part: object) => ({
  rule: { family: 'ip', table: 'filter', chain: 'FORWARD', expr: [{ counter: null }, part] },
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
    ['a rule at its end that rejects', [chain('accept'), ends({ reject: null })], 'error'],
    [
      'one of iptables-nft',
      [chain('accept'), ends({ xt: { type: 'target', name: 'REJECT' } })],
      'error',
    ],
    ['both ways accepted before it', [chain('accept'), ...both, ends({ drop: null })], 'ok'],
    ['a rule that rejects some', [chain('accept'), rule('iifname', 'eth0', 'reject')], 'ok'],
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
      const [found] = judgeForwarding({ nftables }, { ip: ['ts-swarm0'], ip6: [] });
      assert.equal(found?.level ?? 'ok', level);
      if (level === 'error') assert.match(found?.text ?? '', /FORWARD of the table ip filter/);
    });
  }

  it('asks of IPv6 only for the links that carry it', () => {
    const { chain: four } = chain('drop');
    const nftables = [{ chain: { ...four, family: 'ip6' } }];
    assert.deepEqual(judgeForwarding({ nftables }, { ip: ['ts-swarm0'], ip6: [] }), []);
    const [found] = judgeForwarding({ nftables }, { ip: [], ip6: ['ts-swarm-mesh'] });
    assert.match(found?.text ?? '', /table ip6 filter .* does not know ts-swarm-mesh:/);
  });

  const accepted = ['-A FORWARD -i ts-swarm0 -j ACCEPT', '-A FORWARD -o ts-swarm0 -j ACCEPT'];
  const legacy: readonly (readonly [string, readonly string[], boolean])[] = [
    ['a policy that accepts', ['-P FORWARD ACCEPT'], false],
    ['a policy that drops', ['-P INPUT ACCEPT', '-P FORWARD DROP'], true],
    ['a rule at its end', ['-P FORWARD ACCEPT', '-A FORWARD -j REJECT --reject-with x'], true],
    ['both ways accepted', ['-P FORWARD DROP', ...accepted], false],
    ['one way accepted only', ['-P FORWARD DROP', accepted[0]!], true],
    [
      'another link',
      ['-P FORWARD DROP', ...accepted.map((line) => line.replace('m0', 'm01'))],
      true,
    ],
  ];
  for (const [name, lines, isWrong] of legacy) {
    it(`judges ${name}, of iptables-legacy`, () => {
      const found = judgeLegacy('iptables-legacy', lines.join('\n'), ['ts-swarm0']);
      assert.equal(found.length, isWrong ? 1 : 0);
      if (isWrong) assert.match(found[0]?.text ?? '', /iptables-legacy -I FORWARD -i ts-swarm0/);
    });
  }
});
