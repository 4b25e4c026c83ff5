import { strict as assert } from 'node:assert';
import { assert as check, integer, property } from 'fast-check';
import { SwarmError } from '../../../lib/errors.ts';
import { networkSpec, type NetworkSpec } from '../../../types/index.ts';
import { AddressUse } from './address-use.ts';
import { planNetwork, type LocalNetwork } from './plan.ts';
import { freeHost, parseRange, rangeText } from './ranges.ts';

/** In Docker's JSON, as it comes from the API. */
function spec(document: object): NetworkSpec {
  return networkSpec.decode({ Name: 'net', Driver: 'bridge', ...document }, 'body');
}

function plan(
  document: object,
  around: Partial<Parameters<typeof planNetwork>[1]> = {},
): LocalNetwork {
  const given = { id: 'abcdefghijklmnopqrstuvwxy', createdAtMs: 0, spec: spec(document) };
  return planNetwork(given, { networks: [], routes: [], ...around });
}

const ipam = (...configs: object[]) => ({ IPAM: { Config: configs } });

describe('networks of one node', () => {
  const good: { name: string; given: object; routes?: string[]; expect: object[] }[] = [
    {
      name: 'have the first default subnet',
      given: {},
      expect: [{ subnet: '172.18.0.0/16', gateway: '172.18.0.1' }],
    },
    {
      name: 'keep clear of what the host has routes to',
      given: {},
      routes: ['0.0.0.0/0', '172.18.5.0/24', '172.16.0.0/13', 'fd00::/8'],
      expect: [{ subnet: '172.24.0.0/16', gateway: '172.24.0.1' }],
    },
    {
      name: 'have what was asked for',
      given: ipam({
        Subnet: '10.5.0.0/24',
        Gateway: '10.5.0.254',
        IPRange: '10.5.0.128/25',
        AuxiliaryAddresses: { router: '10.5.0.200' },
      }),
      expect: [
        {
          subnet: '10.5.0.0/24',
          gateway: '10.5.0.254',
          ipRange: '10.5.0.128/25',
          reserved: ['10.5.0.200'],
        },
      ],
    },
    {
      name: 'have both families',
      given: { EnableIPv6: true, ...ipam({ Subnet: 'fd00:5::/64' }, { Subnet: '10.5.0.0/24' }) },
      expect: [
        { subnet: 'fd00:5::/64', gateway: 'fd00:5::1' },
        { subnet: '10.5.0.0/24', gateway: '10.5.0.1' },
      ],
    },
    {
      name: 'have a private prefix of their own where they say nothing of IPv6 but that they want it',
      given: { EnableIPv6: true },
      expect: [
        { subnet: '172.18.0.0/16', gateway: '172.18.0.1' },
        { subnet: 'fd69:b980:549d::/64', gateway: 'fd69:b980:549d::1' },
      ],
    },
    {
      name: 'leave IPv6 out where it is not asked for',
      given: ipam({ Subnet: 'fd00:5::/64' }, { Subnet: '10.5.0.0/24' }),
      expect: [{ subnet: '10.5.0.0/24', gateway: '10.5.0.1' }],
    },
    {
      name: 'have IPv6 alone where they want no IPv4',
      given: {
        EnableIPv4: false,
        EnableIPv6: true,
        ...ipam({ Subnet: 'fd00:5::/64' }, { Subnet: '10.5.0.0/24' }),
      },
      expect: [{ subnet: 'fd00:5::/64', gateway: 'fd00:5::1' }],
    },
  ];
  for (const { name, given, routes = [], expect } of good) {
    it(name, () => {
      assert.deepEqual(plan(given, { routes }).subnets, expect);
    });
  }

  const bad: { name: string; given: object; code?: string; says: RegExp }[] = [
    {
      name: 'no addresses at all',
      given: { EnableIPv4: false },
      says: /^IPv4 or IPv6 must be enabled$/,
    },
    { name: 'what is no subnet', given: ipam({ Subnet: '10.5.0.0' }), says: /invalid CIDR/ },
    {
      name: 'bits of a host',
      given: ipam({ Subnet: '10.5.0.7/24' }),
      says: /should be 10\.5\.0\.0\/24/,
    },
    { name: 'no room', given: ipam({ Subnet: '10.5.0.0/31' }), says: /no room/ },
    {
      name: 'a gateway elsewhere',
      given: ipam({ Subnet: '10.5.0.0/24', Gateway: '10.6.0.1' }),
      says: /no matching subnet/,
    },
    {
      name: 'a range elsewhere',
      given: ipam({ Subnet: '10.5.0.0/24', IPRange: '10.6.0.0/25' }),
      says: /not within/,
    },
    { name: 'an unknown driver', given: { Driver: 'weave' }, says: /weave/ },
    {
      name: 'an option that has no effect here',
      given: { Options: { 'com.docker.network.bridge.enable_icc': 'false' } },
      says: /not supported/,
    },
    {
      name: 'an MTU in words',
      given: { Options: { 'com.docker.network.driver.mtu': 'large' } },
      says: /MTU "large"/,
    },
    {
      name: 'a link’s name that is a path',
      given: { Options: { parent: '../eth0' } },
      says: /no name of a link/,
    },
  ];
  for (const { name, given, says } of bad) {
    it(`refuse ${name}`, () => {
      assert.throws(
        () => plan(given),
        (error) =>
          error instanceof SwarmError &&
          error.code === 'invalid-argument' &&
          says.test(error.message),
      );
    });
  }

  it('refuse what another network has', () => {
    const networks = [plan(ipam({ Subnet: '10.5.0.0/16' }))];
    assert.throws(
      () => plan(ipam({ Subnet: '10.5.7.0/24' }), { networks }),
      (error) =>
        error instanceof SwarmError &&
        error.code === 'permission-denied' &&
        /Pool overlaps.*10\.5\.0\.0\/16/.test(error.message),
    );
  });

  it('are all apart from each other, and end some time', () => {
    const networks: LocalNetwork[] = [];
    for (;;) {
      try {
        networks.push(plan({}, { networks }));
      } catch (error) {
        assert.ok(error instanceof SwarmError && error.code === 'resource-exhausted');
        break;
      }
    }
    assert.equal(networks.length, 14 + 16);
    assert.equal(new Set(networks.map(({ subnets }) => subnets[0]?.subnet)).size, 30);
  });
});

describe('addresses on a network of one node', () => {
  const subnets = [{ subnet: '10.5.0.0/29', gateway: '10.5.0.1', reserved: ['10.5.0.3'] }];

  it('are given out in turn, and again only when all were', () => {
    const use = new AddressUse('net', subnets);
    const take = (id: string) => use.reserve(id, {})[0];
    assert.deepEqual(['a', 'b'].map(take), ['10.5.0.2/29', '10.5.0.4/29']);
    use.release('a');
    assert.deepEqual(['c', 'd', 'e'].map(take), ['10.5.0.5/29', '10.5.0.6/29', '10.5.0.2/29']);
    assert.throws(() => take('f'), /no available IPv4 addresses on the network net/);
    assert.equal(take('c'), '10.5.0.5/29', 'who asks again keeps what it has');
  });

  it('are those that are asked for, where they are free', () => {
    const use = new AddressUse('net', subnets);
    assert.deepEqual(use.reserve('a', { ipv4: '10.5.0.5' }), ['10.5.0.5/29']);
    assert.throws(() => use.reserve('b', { ipv4: '10.5.0.5' }), /already in use/);
    assert.throws(() => use.reserve('b', { ipv4: '10.5.0.1' }), /already in use/);
    assert.throws(
      () => use.reserve('b', { ipv4: '10.6.0.1' }),
      /does not belong to any of this network's subnets$/,
    );
    assert.throws(
      () => use.reserve('b', { ipv6: 'fd00::5' }),
      /does not belong to any of this network's subnets$/,
    );
  });

  it('are within the range, and never the network’s own', () => {
    check(
      property(integer({ min: 16, max: 30 }), integer({ min: 0, max: 2 }), (prefix, more) => {
        const subnet = rangeText(parseRange(`10.5.0.0/${prefix}`)!);
        const ipRange = `10.5.0.0/${Math.min(30, prefix + more)}`;
        const address = freeHost({ subnet, ipRange, gateway: '10.5.0.1' }, new Set());
        assert.equal(address, '10.5.0.2');
      }),
    );
  });
});
