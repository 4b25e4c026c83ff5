import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import type { AssignedEndpoint, AssignedServiceEndpoint } from '../../../types/index.ts';
import { NetworkBalance } from './balance.ts';
import { inPlace, type DiceChange } from './dice.ts';

const service = (serviceId: string, ...virtualIps: string[]): AssignedServiceEndpoint => ({
  id: `net/${serviceId}`,
  networkId: 'net',
  serviceId,
  names: [serviceId],
  mode: virtualIps.length === 0 ? 'dnsrr' : 'vip',
  virtualIps,
  ports: [],
});

const endpoint = (
  serviceId: string,
  active: boolean,
  ...addresses: string[]
): AssignedEndpoint => ({
  id: `net/${addresses[0]}`,
  networkId: 'net',
  taskId: addresses[0] ?? '',
  serviceId,
  nodeId: 'node',
  addresses,
  names: [],
  aliases: [],
  active,
});

/** Sets as the kernel has them; refuses what the kernel refuses. */
class Kernel {
  readonly sets = new Map<string, Map<string, string>>();

  apply({ removed, added }: Pick<DiceChange, 'removed' | 'added'>): void {
    for (const [set, list] of removed) {
      for (const { key } of list) {
        assert.ok(this.sets.get(set)?.delete(key.toString('hex')), `${set} has the element`);
      }
    }
    for (const [set, list] of added) {
      const elements = this.sets.get(set) ?? new Map<string, string>();
      this.sets.set(set, elements);
      for (const { key, data, goTo } of list) {
        assert.ok(!elements.has(key.toString('hex')), `${set} does not have the element yet`);
        elements.set(key.toString('hex'), goTo ?? data?.toString('hex') ?? '');
      }
    }
  }

  /** Where the dice of a VIP lead. */
  backendsOf(vip: string): readonly string[] {
    const chain = this.sets.get('vips4')?.get(vip);
    const count = Number(chain?.replace('ip_of_', '') ?? 0);
    const backends = this.sets.get('backends4') ?? new Map<string, string>();
    return Array.from({ length: count }, (_, index) => {
      const number = Buffer.from([index, 0, 0, 0]).toString('hex');
      const backend = backends.get(vip + number);
      assert.ok(backend !== undefined, `number ${index} of ${vip} leads somewhere`);
      return backend;
    });
  }

  get size(): number {
    return this.sets.values().reduce((sum, set) => sum + set.size, 0);
  }
}

const hex = (address: string) => Buffer.from(address.split('.').map(Number)).toString('hex');

describe('balance', () => {
  it('leads a VIP to the active endpoints of its service', () => {
    const kernel = new Kernel();
    const balance = new NetworkBalance();
    const change = balance.update(
      new Set(['web', 'db']),
      [service('web', '10.0.1.2/24'), service('db', '10.0.1.3')],
      [
        endpoint('web', true, '10.0.1.10/24'),
        endpoint('web', false, '10.0.1.11/24'),
        endpoint('web', true, '10.0.1.12/24'),
        endpoint('db', false, '10.0.1.20/24'),
      ],
    );
    kernel.apply(change);
    assert.deepEqual(kernel.backendsOf(hex('10.0.1.2')), [hex('10.0.1.10'), hex('10.0.1.12')]);
    assert.deepEqual([...(kernel.sets.get('idle4')?.keys() ?? [])], [hex('10.0.1.3')]);
    assert.deepEqual(change.dice, [{ family: 'ip', count: 2 }]);
  });

  it('keeps the families apart', () => {
    const kernel = new Kernel();
    const change = new NetworkBalance().update(
      new Set(['web']),
      [service('web', '10.0.1.2', 'fd00::2')],
      [endpoint('web', true, '10.0.1.10/24', 'fd00::10/64')],
    );
    kernel.apply(change);
    assert.equal(kernel.sets.get('backends4')?.size, 1);
    assert.equal(kernel.sets.get('backends6')?.size, 1);
    assert.deepEqual([...(kernel.sets.get('vips6')?.values() ?? [])], ['ip6_of_1']);
  });

  it('changes few elements when one of many endpoints goes, and says which', () => {
    const balance = new NetworkBalance();
    const services = [service('web', '10.0.1.2')];
    const endpoints = Array.from({ length: 100 }, (_, index) =>
      endpoint('web', true, `10.0.2.${index}`),
    );
    balance.update(new Set(['web']), services, endpoints);
    const change = balance.update(new Set(['web']), services, endpoints.toSpliced(7, 1));
    const count = (elements: DiceChange['added']) =>
      elements.values().reduce((sum, list) => sum + list.length, 0);
    assert.equal(count(change.removed), 3);
    assert.equal(count(change.added), 2);
    assert.deepEqual(change.lost, ['10.0.2.7']);
  });

  it('has nothing for a service without a VIP', () => {
    const change = new NetworkBalance().update(
      new Set(['web']),
      [service('web')],
      [endpoint('web', true, '10.0.1.10')],
    );
    assert.equal(change.added.size, 0);
  });

  it('leaves nothing of services that are gone', () => {
    const kernel = new Kernel();
    const balance = new NetworkBalance();
    const ids = new Set(['web', 'db']);
    const services = [service('web', '10.0.1.2'), service('db', '10.0.1.3')];
    kernel.apply(balance.update(ids, services, [endpoint('web', true, '10.0.1.10')]));
    kernel.apply(balance.update(ids, [], []));
    assert.equal(kernel.size, 0);
    assert.equal(balance.all().added.size, 0);
  });

  it('is in the kernel what it is in the tables, whatever happens', () => {
    const states = fc.array(
      fc.record({
        web: fc.uniqueArray(fc.integer({ min: 1, max: 12 })),
        db: fc.uniqueArray(fc.integer({ min: 1, max: 12 })),
        vip: fc.constantFrom('10.0.1.2', '10.0.1.3', undefined),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(states, (steps) => {
        const kernel = new Kernel();
        const balance = new NetworkBalance();
        for (const { web, db, vip } of steps) {
          const services = [
            ...(vip === undefined ? [] : [service('web', vip)]),
            service('db', '10.0.1.4'),
          ];
          const endpoints = [
            ...web.map((number) => endpoint('web', true, `10.0.2.${number}`)),
            ...db.map((number) => endpoint('db', true, `10.0.3.${number}`)),
          ];
          kernel.apply(balance.update(new Set(['web', 'db']), services, endpoints));
          const expected = vip === undefined ? [] : web.map((number) => hex(`10.0.2.${number}`));
          const found = vip === undefined ? [] : kernel.backendsOf(hex(vip));
          assert.deepEqual([...found].sort(), expected.sort());
          const fresh = new Kernel();
          fresh.apply(balance.all());
          assert.equal(fresh.size, kernel.size);
        }
      }),
    );
  });
});

describe('inPlace', () => {
  const cases = [
    { name: 'fills nothing', old: [], wanted: [], expect: [] },
    { name: 'appends', old: ['a', 'b'], wanted: ['c', 'b', 'a'], expect: ['a', 'b', 'c'] },
    { name: 'takes over a place', old: ['a', 'b'], wanted: ['b', 'c'], expect: ['c', 'b'] },
    { name: 'moves the last', old: ['a', 'b', 'c'], wanted: ['b', 'c'], expect: ['c', 'b'] },
    { name: 'drops the end', old: ['a', 'b', 'c'], wanted: ['a'], expect: ['a'] },
    { name: 'drops all', old: ['a', 'b'], wanted: [], expect: [] },
  ];
  for (const { name, old, wanted, expect } of cases) {
    it(name, () => {
      const found = inPlace(old, new Map(wanted.map((one: string) => [one, one])));
      assert.deepEqual([...found.keys()], expect);
    });
  }
});
