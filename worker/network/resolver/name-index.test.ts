import { strict as assert } from 'node:assert';
import { assert as check, constantFrom, array, boolean, property, record } from 'fast-check';
import { NetworkTables } from '../tables.ts';
import { NameIndex } from './name-index.ts';
import { completeSet, endpoint, network, service } from './testing.ts';

describe('the index of names', () => {
  it('is after any changes what the tables say', () => {
    const change = record({
      kind: constantFrom('endpoint', 'service'),
      name: constantFrom('a.1', 'a.2', 'b.1', 'b'),
      network: constantFrom('n1', 'n2'),
      address: constantFrom('10.0.1.5', '10.0.1.6', 'fd00::1'),
      alias: constantFrom('x', 'Y', 'a.1'),
      isActive: boolean(),
      isRemoval: boolean(),
    });
    check(
      property(array(change, { maxLength: 40 }), (changes) => {
        const tables = new NetworkTables();
        const index = NameIndex.of(tables);
        index.apply(
          tables.apply(completeSet({ networks: [network('n1'), network('n2')] })).changes,
        );
        for (const one of changes) {
          const isEndpoint = one.kind === 'endpoint';
          const object = isEndpoint
            ? endpoint(one.network, one.name, [one.address], {
                aliases: [one.alias],
                active: one.isActive,
              })
            : service(one.network, one.name, [one.address], { names: [one.name, one.alias] });
          const type = isEndpoint ? ('endpoint' as const) : ('service-endpoint' as const);
          const update = { type, object } as never;
          const delta = tables.apply({
            complete: false,
            update: one.isRemoval ? [] : [update],
            remove: one.isRemoval ? [{ type, id: object.id }] : [],
          });
          index.apply(delta.changes);
        }
        assert.equal(index.describe(), NameIndex.of(tables).describe());
      }),
    );
  });

  it('keeps the holder of an address that moved before its former holder went', () => {
    const tables = new NetworkTables();
    const index = NameIndex.of(tables);
    const set = completeSet({
      networks: [network('n1')],
      endpoints: [endpoint('n1', 'old', ['10.0.1.5/24'])],
    });
    index.apply(tables.apply(set).changes);
    const object = endpoint('n1', 'new', ['10.0.1.5/24']);
    const update = [{ type: 'endpoint' as const, object }];
    const remove = [{ type: 'endpoint' as const, id: 'n1/old' }];
    index.apply(tables.apply({ complete: false, update, remove }).changes);
    assert.equal(index.nameOf('n1', '0a000105'), 'new');
  });
});
