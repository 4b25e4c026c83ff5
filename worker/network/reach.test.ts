import { strict as assert } from 'node:assert';
import type { NetworkAssignments } from '../../types/index.ts';
import { withinReach } from './reach.ts';
import { NetworkTables } from './tables.ts';

type Update = NetworkAssignments['update'][number];

const network = (id: string, driver: string): Update => ({
  type: 'network',
  object: {
    id,
    name: id,
    driver,
    vni: 0,
    subnets: [],
    internal: false,
    ingress: false,
    encrypted: false,
    dataPathPort: 4789,
    options: {},
    ...(driver === 'overlay' ? {} : { local: { name: id, labels: {}, driver } }),
  },
});
const endpoint = (networkId: string, nodeId: string): Update => ({
  type: 'endpoint',
  object: {
    id: `${networkId}/${nodeId}`,
    networkId,
    taskId: nodeId,
    serviceId: 's',
    nodeId,
    addresses: [],
    names: [],
    aliases: [],
    active: true,
  },
});

describe('endpoints within reach', () => {
  const cases = [
    { driver: 'overlay', nodeId: 'other', active: true },
    { driver: 'macvlan', nodeId: 'other', active: true },
    { driver: 'bridge', nodeId: 'other', active: false },
    { driver: 'bridge', nodeId: 'own', active: true },
  ];
  for (const { driver, nodeId, active } of cases) {
    it(`on ${driver} of ${nodeId}: ${active}`, () => {
      const tables = new NetworkTables();
      const set = (...update: Update[]) => ({ complete: false, update, remove: [] });
      const both = withinReach(set(network('n', driver), endpoint('n', nodeId)), tables, 'own');
      tables.apply(both);
      const later = withinReach(set(endpoint('n', nodeId)), tables, 'own');
      for (const one of [both.update[1], later.update[0]]) {
        assert.ok(one?.type === 'endpoint');
        assert.equal(one.object.active, active);
      }
    });
  }
});
