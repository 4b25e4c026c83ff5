import { strict as assert } from 'node:assert';
import { seededRandom } from '../../lib/random.ts';
import type { NetworkSpec } from '../../types/index.ts';
import { allocateNetwork } from './networks.ts';

const spec: NetworkSpec = { name: 'some', labels: {}, driver: 'overlay', scope: 'swarm' };

describe('the subnet that a network is given', () => {
  const cases: readonly {
    name: string;
    pools?: readonly string[];
    subnetSize?: number;
    hosts: readonly string[];
    expect: string;
  }[] = [
    { name: 'is the first of the pool', hosts: ['192.168.1.4', ''], expect: '10.0.0.0/24' },
    { name: 'is none that nodes are in', hosts: ['10.0.0.9', '10.0.1.1'], expect: '10.0.2.0/24' },
    {
      name: 'heeds the size that the swarm was made with',
      hosts: ['10.0.3.9'],
      subnetSize: 16,
      expect: '10.1.0.0/16',
    },
    {
      name: 'comes from a second pool rather than from where nodes are',
      pools: ['172.20.0.0/24', '172.30.0.0/24'],
      hosts: ['172.20.0.7'],
      expect: '172.30.0.0/24',
    },
    {
      name: 'hides nodes where the pools have nothing else',
      pools: ['172.20.0.0/24'],
      hosts: ['172.20.0.7', 'fd00::7', 'node.example'],
      expect: '172.20.0.0/24',
    },
  ];
  for (const { name, pools = [], subnetSize = 24, hosts, expect } of cases) {
    it(name, () => {
      const cluster = { id: 'c', defaultAddressPools: pools, subnetSize };
      const around = { cluster, networks: [], hosts, random: seededRandom(1) };
      const { subnets } = allocateNetwork(spec, around);
      assert.deepEqual(
        subnets.map(({ subnet }) => subnet),
        [expect],
      );
    });
  }
});
