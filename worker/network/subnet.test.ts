import { strict as assert } from 'node:assert';
import {
  defaultLocalPools,
  firstFree,
  formatAddress,
  formatSubnet,
  macOf,
  nextAddress,
  overlaps,
  parseAddress,
  parseSubnet,
} from './subnet.ts';

describe('subnets', () => {
  it('reads and writes addresses', () => {
    for (const text of ['0.0.0.0', '10.0.0.1', '172.18.255.254', '255.255.255.255']) {
      assert.equal(formatAddress(parseAddress(text)), text);
    }
    for (const text of ['', '10.0.0', '10.0.0.256', '10.0.0.x', '10.0.0.1.2']) {
      assert.throws(() => parseAddress(text), RangeError, text);
    }
  });

  it('takes the network out of an address with a prefix', () => {
    assert.equal(formatSubnet(parseSubnet('172.18.3.5/16')), '172.18.0.0/16');
    assert.equal(formatSubnet(parseSubnet('0.0.0.0/0')), '0.0.0.0/0');
    assert.throws(() => parseSubnet('10.0.0.0/33'), RangeError);
  });

  it('knows which subnets overlap', () => {
    const cases: readonly [string, string, boolean][] = [
      ['10.0.0.0/24', '10.0.0.128/25', true],
      ['10.0.0.0/24', '10.0.1.0/24', false],
      ['0.0.0.0/0', '192.168.0.0/16', true],
      ['10.0.0.0/8', '10.255.255.255/32', true],
    ];
    for (const [a, b, expected] of cases) {
      assert.equal(overlaps(parseSubnet(a), parseSubnet(b)), expected, `${a} ${b}`);
      assert.equal(overlaps(parseSubnet(b), parseSubnet(a)), expected, `${b} ${a}`);
    }
  });

  it('chooses the first pool that is free', () => {
    const inUse = [parseSubnet('172.18.0.0/16'), parseSubnet('172.19.4.0/24')];
    const free = firstFree(defaultLocalPools(), inUse);
    assert.equal(free && formatSubnet(free), '172.20.0.0/16');
    assert.equal(firstFree(defaultLocalPools(), [parseSubnet('0.0.0.0/0')]), undefined);
  });

  it('goes round the addresses, and ends when all are taken', () => {
    const subnet = parseSubnet('10.0.0.0/29');
    const taken = new Set<number>();
    let last = 0;
    const given: string[] = [];
    for (;;) {
      const address = nextAddress(subnet, taken, last);
      if (address === undefined) break;
      taken.add(address);
      last = address;
      given.push(formatAddress(address));
    }
    assert.deepEqual(
      given,
      [1, 2, 3, 4, 5, 6].map((host) => `10.0.0.${host}`),
    );
    taken.delete(parseAddress('10.0.0.2'));
    assert.equal(formatAddress(nextAddress(subnet, taken, last) ?? 0), '10.0.0.2');
  });

  it('derives the MAC from the address', () => {
    assert.equal(macOf(parseAddress('172.18.0.10')), '02:42:ac:12:00:0a');
  });
});
