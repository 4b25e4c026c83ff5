import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import {
  bitsOf,
  contains,
  firstFreeSubnet,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
  sizeOf,
  type Subnet,
} from './address.ts';

const subnet = (text: string): Subnet => {
  const parsed = parseSubnet(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
};

describe('addresses', () => {
  for (const [text, normal] of [
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['10.0.0.254', '10.0.0.254'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['FD00:0:0:1::A', 'fd00:0:0:1::a'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['::ffff:10.1.2.3', '::ffff:a01:203'],
  ] as const) {
    it(`${text} reads as ${normal}`, () => {
      const parsed = parseAddress(text);
      assert.ok(parsed !== undefined);
      assert.equal(formatAddress(parsed), normal);
    });
  }

  const wrong = [
    ['', '10.0.0', '10.0.0.256', '10.0.0.01', '10.0.0.1.2', 'a.b.c.d', '10.0.0.1/24', '-1.0.0.0'],
    [':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '1.2.3.4::'],
    ['1:2:3:4:5:6:7:8::', '::%eth0'],
  ];
  for (const text of wrong.flat()) {
    it(`"${text}" is none`, () => assert.equal(parseAddress(text), undefined));
  }

  it('are the same after they are written and read, in both families', () => {
    const any = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => ({ family: 4 as const, value })),
      fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => ({ family: 6 as const, value })),
      fc
        .tuple(fc.bigInt({ min: 0n, max: 0xffffn }), fc.nat(7))
        .map(([group, at]) => ({ family: 6 as const, value: group << BigInt(16 * at) })),
    );
    fc.assert(
      fc.property(any, (address) => {
        assert.deepEqual(parseAddress(formatAddress(address)), address);
      }),
    );
  });
});

describe('subnets', () => {
  it('are read with any address in them', () => {
    assert.equal(formatSubnet(subnet('10.1.2.3/20')), '10.1.0.0/20');
    assert.equal(formatSubnet(subnet('fd00::1:2:3:4/64')), 'fd00::/64');
    for (const text of [
      '10.0.0.0',
      '10.0.0.0/33',
      'fd00::/129',
      '/8',
      '10.0.0.0/',
      '10.0.0.0/8/8',
    ]) {
      assert.equal(parseSubnet(text), undefined, text);
    }
  });

  it('keep families apart', () => {
    assert.ok(!overlaps(subnet('::/0'), subnet('0.0.0.0/0')));
    assert.ok(!contains(subnet('::/0'), { family: 4, value: 1n }));
  });

  it('are taken from the first gap that is large enough', () => {
    const used = ['10.0.0.0/24', '10.0.1.128/25', '10.0.3.0/24', '10.0.1.0/30'].map(subnet);
    const first = (prefix: number) => firstFreeSubnet(subnet('10.0.0.0/16'), prefix, used);
    assert.equal(formatSubnet(first(24)!), '10.0.2.0/24');
    assert.equal(formatSubnet(first(22)!), '10.0.4.0/22');
    assert.equal(formatSubnet(first(26)!), '10.0.1.64/26');
    assert.equal(firstFreeSubnet(subnet('10.0.0.0/24'), 16, []), undefined);
    assert.equal(firstFreeSubnet(subnet('10.0.0.0/24'), 24, [subnet('0.0.0.0/0')]), undefined);
    assert.equal(firstFreeSubnet(subnet('10.0.0.0/24'), 25, [subnet('10.0.0.9/32')])?.prefix, 25);
  });

  it('that are taken lie in the pool, overlap none, and are missed only where there is none', () => {
    const used = fc.array(
      fc.tuple(fc.integer({ min: 24, max: 32 }), fc.nat(255)).map(([prefix, last]) => {
        return subnet(`10.0.0.${last}/${prefix}`);
      }),
    );
    fc.assert(
      fc.property(used, fc.integer({ min: 24, max: 32 }), (inUse, prefix) => {
        const pool = subnet('10.0.0.0/24');
        const found = firstFreeSubnet(pool, prefix, inUse);
        const step = 1n << BigInt(bitsOf(4) - prefix);
        const all = Array.from({ length: Number(sizeOf(pool) / step) }, (_, number) => {
          return { family: 4 as const, base: pool.base + BigInt(number) * step, prefix };
        });
        const expected = all.find((one) => !inUse.some((other) => overlaps(one, other)));
        assert.deepEqual(found, expected);
      }),
    );
  });
});
