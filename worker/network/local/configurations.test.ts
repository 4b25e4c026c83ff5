import { strict as assert } from 'node:assert';
import { networkSpec, type NetworkSpec } from '../../../types/index.ts';
import { checkConfiguration, withConfiguration } from './configurations.ts';

const spec = (document: object): NetworkSpec =>
  networkSpec.decode({ Name: 'net', Driver: 'macvlan', ...document }, '');
const configuration = spec({
  Name: 'conf',
  Driver: 'null',
  ConfigOnly: true,
  Labels: { tier: 'db' },
  Options: { parent: 'eth0' },
  IPAM: { Config: [{ Subnet: '10.1.0.0/24' }] },
});
const from = (document: object = {}) => spec({ ConfigFrom: { Network: 'conf' }, ...document });
const known = (name: string) => (name === 'conf' ? configuration : undefined);

describe('networks that are only a configuration', () => {
  it('give others what is theirs', () => {
    const made = withConfiguration(from({ Internal: true }), known);
    assert.deepEqual(
      [made.name, made.driver, made.internal, made.options, made.labels, made.ipam?.configs],
      ['net', 'macvlan', true, { parent: 'eth0' }, { tier: 'db' }, configuration.ipam?.configs],
    );
    assert.equal(made.configFrom?.network, 'conf');
    const own = spec({});
    assert.equal(withConfiguration(own, known), own);
  });

  const own: readonly (readonly [string, object])[] = [
    ['a subnet', { IPAM: { Config: [{ Subnet: '10.2.0.0/24' }] } }],
    ['an option', { Options: { parent: 'eth1' } }],
    ['a label', { Labels: { a: 'b' } }],
    ['IPv6', { EnableIPv6: true }],
    ['another driver of addresses', { IPAM: { Driver: 'dhcp' } }],
  ];
  for (const [name, document] of own) {
    it(`cannot be used beside ${name} of its own`, () => {
      assert.throws(() => withConfiguration(from(document), known), /user specified config/);
    });
  }

  it('must be there', () => {
    assert.throws(() => withConfiguration(from(), () => undefined), /"conf" does not exist/);
  });

  for (const document of [{ Ingress: true }, { Internal: true }, { Attachable: true }]) {
    it(`cannot be told ${Object.keys(document).join()}`, () => {
      assert.throws(() => checkConfiguration(spec(document)), /network specific fields/);
    });
  }

  it('cannot depend on one another', () => {
    assert.throws(() => checkConfiguration(from()), /cannot depend on another/);
    checkConfiguration(configuration);
  });
});
