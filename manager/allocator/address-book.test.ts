import { strict as assert } from 'node:assert';
import { seededRandom } from '../../lib/random.ts';
import type { Network, NetworkSubnet } from '../../types/index.ts';
import { AddressBook } from './address-book.ts';

function networkOf(...subnets: (Partial<NetworkSubnet> & { readonly subnet: string })[]): Network {
  return {
    id: 'n1',
    meta: { version: 0, createdAtMs: 0, updatedAtMs: 0 },
    spec: { name: 'back', labels: {}, driver: 'overlay' },
    vni: 4096,
    subnets: subnets.map((subnet) => ({
      gateway: subnet.subnet.replace(/0\/\d+$/, '1'),
      ...subnet,
    })),
  };
}

function bookOf(used: readonly string[] = [], seed = 1): AddressBook {
  const holders = new Map(used.map((address) => [address, 'holder']));
  return new AddressBook({ usedAddresses: () => holders }, seededRandom(seed));
}

const ascending = (a: number, b: number) => a - b;

/** All that can be had. */
function drained(book: AddressBook, network: Network): string[] {
  const all: string[] = [];
  for (;;) {
    const taken = book.take(network);
    if (taken === undefined) return all;
    all.push(...taken);
    assert.ok(all.length < 100_000);
  }
}

const last = (address: string) => Number(address.split('/')[0]?.split('.')[3]);

describe('AddressBook', () => {
  it('gives each address of a subnet once, but for its own, the gateway and the broadcast', () => {
    const network = networkOf({ subnet: '10.9.0.0/28' });
    const book = bookOf();
    const all = drained(book, network);
    assert.deepEqual(
      all.map(last).toSorted(ascending),
      Array.from({ length: 13 }, (_, number) => number + 2),
    );
    assert.ok(all.every((address) => address.endsWith('/28')));
    assert.ok(book.isFull(network));
    assert.equal(
      book.explain(network),
      'no free address on network back (10.9.0.0/28): all 13 addresses are in use',
    );
    book.giveBack(network.id, all.slice(3, 4));
    assert.ok(!book.isFull(network));
    assert.deepEqual(book.take(network), all.slice(3, 4));
  });

  it('passes over what is held and what is set aside', () => {
    const network = networkOf({
      subnet: '10.9.0.0/29',
      gateway: '10.9.0.6',
      reserved: ['10.9.0.1', '10.9.0.1'],
    });
    assert.deepEqual(
      drained(bookOf(['10.9.0.3', '10.9.0.4']), network)
        .map(last)
        .toSorted(ascending),
      [2, 5],
    );
    assert.ok(bookOf([2, 3, 4, 5].map((n) => `10.9.0.${n}`)).isFull(network));
  });

  it('keeps to the range, with the prefix of the whole', () => {
    const network = networkOf({ subnet: '10.9.0.0/16', ipRange: '10.9.255.252/30' });
    const all = drained(bookOf(), network);
    assert.deepEqual(all.toSorted(), ['10.9.255.252/16', '10.9.255.253/16', '10.9.255.254/16']);
    const first = networkOf({ subnet: '10.9.0.0/16', ipRange: '10.9.0.0/30' });
    assert.deepEqual(drained(bookOf(), first).map(last).toSorted(ascending), [2, 3]);
  });

  it('begins anywhere, so that what was just given back is not met again at once', () => {
    const network = networkOf({ subnet: '10.9.0.0/24' });
    const firsts = new Set(
      Array.from({ length: 50 }, (_, seed) => bookOf([], seed).take(network)?.[0]),
    );
    assert.ok(firsts.size > 35, `${firsts.size} different ones`);
  });

  it('gives an address of each family, or none', () => {
    const network = networkOf(
      { subnet: '10.9.0.0/29' },
      { subnet: 'fd00:9::/64', gateway: 'fd00:9::1' },
    );
    const book = bookOf();
    const all = drained(book, network);
    assert.equal(all.length, 10);
    const v6 = all.filter((address) => address.startsWith('fd00:9::') && address.endsWith('/64'));
    assert.equal(new Set(v6).size, 5);
    assert.match(book.explain(network), /10\.9\.0\.0\/29, fd00:9::\/64\): all 5 addresses/);
  });

  it('tells IPv6 addresses apart by their last 32 bits', () => {
    const network = networkOf({ subnet: 'fd00:9::/64', gateway: 'fd00:9::1' });
    const book = bookOf();
    for (let count = 0; count < 100; count++) {
      const [address = ''] = book.take(network) ?? [];
      assert.match(address, /^fd00:9::[0-9a-f]{1,4}(:[0-9a-f]{1,4})?\/64$/);
    }
  });

  it('knows addresses that it could have given', () => {
    const network = networkOf({ subnet: '10.9.0.0/24', ipRange: '10.9.0.128/25' });
    const book = bookOf();
    const fits = (...addresses: string[]) => book.fits(network, addresses);
    assert.ok(fits('10.9.0.130/24'));
    const others = [
      '10.9.0.130/25',
      '10.9.0.2/24',
      '10.9.0.255/24',
      '10.8.0.130/24',
      'x',
      'fd00::1/24',
    ];
    for (const other of others) assert.ok(!fits(other), other);
    assert.ok(!fits());
    assert.ok(!fits('10.9.0.130/24', '10.9.0.131/24'));
  });

  it('is quick in a large subnet, also when that is nearly full', () => {
    const network = networkOf({ subnet: '10.9.0.0/16' });
    const before = process.cpuUsage();
    const all = drained(bookOf(), network);
    assert.equal(all.length, 2 ** 16 - 3);
    const used = all.slice(0, -100).map((address) => address.split('/')[0] ?? '');
    assert.equal(drained(bookOf(used), network).length, 100);
    assert.ok(
      process.cpuUsage(before).user < 5_000_000,
      'each address would be looked for from the start',
    );
  });
});
