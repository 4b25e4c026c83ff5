import { strict as assert } from 'node:assert';
import { judgeInput, judgeLegacyInput, type NeededPort } from './firewall.ts';
import type { Ruleset } from './rules.ts';

const ports: readonly NeededPort[] = [
  { protocol: 'udp', port: 4789, need: 'containers are not reached from other nodes' },
  { protocol: 'tcp', port: 2377, need: 'other nodes do not reach this manager' },
];

type Part = Readonly<Record<string, unknown>>;
const at = { family: 'inet', table: 'filter' };
const input = (policy: string, more: object = {}) => ({
  chain: { ...at, name: 'input', hook: 'input', policy, ...more },
});
const rule = (...expr: readonly Part[]) => ({ rule: { ...at, chain: 'input', expr } });
const inChain = (chain: string, ...expr: readonly Part[]) => ({ rule: { ...at, chain, expr } });
const dport = (protocol: string, right: unknown) => ({
  match: { op: '==', left: { payload: { protocol, field: 'dport' } }, right },
});
const meta = (key: string, right: unknown) => ({
  match: { op: '==', left: { meta: { key } }, right },
});
const state = (...right: readonly string[]) => ({
  match: { op: 'in', left: { ct: { key: 'state' } }, right },
});
const from = (right: unknown) => ({
  match: { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right },
});
const conntrack = { xt: { type: 'match', name: 'conntrack' } };
const rejecting = { xt: { type: 'target', name: 'REJECT' } };
const accept = { accept: null };
const counter = { counter: { packets: 0, bytes: 0 } };

/** What people have who let in SSH and what is established. */
const usual = [
  rule(meta('iifname', 'lo'), accept),
  rule(state('established', 'related'), accept),
  rule(meta('l4proto', { set: ['icmp', 'ipv6-icmp'] }), accept),
  rule(dport('tcp', 22), accept),
];
const both = [rule(dport('udp', 4789), accept), rule(dport('tcp', 2377), accept)];
const all = 'udp 4789, tcp 2377';

describe('the examination of what other nodes send here', () => {
  const cases: readonly (readonly [string, Ruleset['nftables'], string])[] = [
    ['no rules', [], ''],
    ['a policy that accepts', [input('accept'), ...usual], ''],
    ['a policy that drops', [input('drop'), ...usual], all],
    ['a policy of another hook', [input('drop', { hook: 'output' }), ...usual], ''],
    ['a policy of the other family', [input('drop', { family: 'ip6' })], ''],
    [
      'a rule at the end that drops',
      [input('accept'), ...usual, rule(counter, { drop: null })],
      all,
    ],
    [
      'one that rejects, of iptables-nft',
      [input('accept'), ...usual, rule(counter, rejecting)],
      all,
    ],
    ['one that logs as well', [input('accept'), rule({ log: null }, { reject: null })], all],
    ['one that rejects some', [input('accept'), rule(from('10.9.9.9'), { reject: null })], ''],
    ['one that rejects now and then', [input('accept'), rule({ limit: {} }, { drop: null })], ''],
    [
      'one in a chain that is jumped to',
      [
        input('accept'),
        rule({ jump: { target: 'last' } }),
        inChain('last', dport('tcp', 22), accept),
        inChain('last', { drop: null }),
      ],
      all,
    ],
    [
      'chains that jump in a circle',
      [
        input('accept'),
        rule({ jump: { target: 'a' } }),
        inChain('a', { jump: { target: 'b' } }),
        inChain('b', { jump: { target: 'a' } }),
      ],
      '',
    ],
    ['a rule that accepts all before it', [input('drop'), rule(accept)], ''],
    ['both accepted', [input('drop'), ...usual, ...both], ''],
    ['one accepted', [input('drop'), ...usual, both[0]!], 'tcp 2377'],
    [
      'the port of the other protocol',
      [input('drop'), rule(dport('tcp', { set: [2377, 4789] }), accept)],
      'udp 4789',
    ],
    [
      'sets and ranges',
      [input('drop'), rule(dport('th', { set: [22, { range: [2000, 5000] }] }), accept)],
      '',
    ],
    ['a set with a name', [input('drop'), rule(dport('tcp', '@open'), accept)], 'udp 4789'],
    [
      'a map of ports',
      [
        input('drop'),
        rule({
          vmap: {
            key: { payload: { protocol: 'tcp', field: 'dport' } },
            data: {
              set: [
                [22, accept],
                [2377, { drop: null }],
              ],
            },
          },
        }),
      ],
      all,
    ],
    ['the nodes by their addresses', [input('drop'), ...usual, rule(from('10.0.0.0'), accept)], ''],
    [
      'new connections of iptables-nft',
      [
        input('drop'),
        rule(conntrack, accept),
        rule(meta('l4proto', 'tcp'), conntrack, dport('tcp', 2377), accept),
      ],
      'udp 4789',
    ],
  ];
  for (const [name, nftables, missing] of cases) {
    it(`judges ${name}`, () => {
      const found = judgeInput({ nftables }, { family: 'ip', ports });
      const said = found.map(({ text }) => /know (\w+) port (\d+)/.exec(text)?.slice(1).join(' '));
      assert.equal(said.join(', ').toLowerCase(), missing);
      for (const { level, check } of found) assert.deepEqual([level, check], ['error', 'firewall']);
    });
  }

  it('says what does not work, and what to do', () => {
    const [found] = judgeInput({ nftables: [input('drop')] }, { family: 'ip', ports });
    assert.match(
      found?.text ?? '',
      /^the chain input of .* not reached .*: nft insert rule .* input udp dport 4789 accept$/,
    );
  });

  const ssh = [
    '-A INPUT -i lo -j ACCEPT',
    '-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT',
    '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT',
  ];
  const legacy: readonly (readonly [string, readonly string[], string])[] = [
    ['a policy that accepts', ['-P INPUT ACCEPT', ...ssh], ''],
    ['a policy that drops', ['-P INPUT DROP', ...ssh], all],
    [
      'a rule at the end',
      ['-P INPUT ACCEPT', ...ssh, '-A INPUT -j REJECT --reject-with icmp-host-prohibited'],
      all,
    ],
    [
      'both accepted',
      [
        '-P INPUT DROP',
        '-A INPUT -p udp -m udp --dport 4000:5000 -j ACCEPT',
        '-A INPUT -p tcp -m multiport --dports 22,2377 -m state --state NEW -j ACCEPT',
      ],
      '',
    ],
    ['the nodes by their addresses', ['-P INPUT DROP', '-A INPUT -s 10.0.0.0/8 -j ACCEPT'], ''],
  ];
  for (const [name, lines, missing] of legacy) {
    it(`judges ${name}, of iptables-legacy`, () => {
      const found = judgeLegacyInput('iptables-legacy', lines.join('\n'), ports);
      const said = found.map(({ text }) => /know (\w+) port (\d+)/.exec(text)?.slice(1).join(' '));
      assert.equal(said.join(', ').toLowerCase(), missing);
    });
  }
});
