import { strict as assert } from 'node:assert';
import { ipamConfigs, type IpamInput } from './ipam.ts';

const nothing: IpamInput = { subnets: [], ranges: [], gateways: [], auxiliary: {} };

describe('cli/network/ipam', () => {
  it('puts each address into the subnet that it lies in', () => {
    const configs = ipamConfigs({
      subnets: ['10.1.0.0/16', 'fd00:1::/64'],
      ranges: ['10.1.4.0/24'],
      gateways: ['fd00:1::9', '10.1.0.9'],
      auxiliary: { printer: '10.1.0.7', scanner: 'fd00:1::7' },
    });
    assert.deepEqual(configs, [
      {
        Subnet: '10.1.0.0/16',
        IPRange: '10.1.4.0/24',
        Gateway: '10.1.0.9',
        AuxiliaryAddresses: { printer: '10.1.0.7' },
      },
      {
        Subnet: 'fd00:1::/64',
        Gateway: 'fd00:1::9',
        AuxiliaryAddresses: { scanner: 'fd00:1::7' },
      },
    ]);
    assert.deepEqual(ipamConfigs(nothing), []);
  });

  const subnets = ['10.1.0.0/16', '10.2.0.0/16'];
  const refusals: readonly { readonly input: Partial<IpamInput>; readonly says: RegExp }[] = [
    { input: { gateways: ['10.1.0.1'] }, says: /must have a corresponding subnet/ },
    { input: { subnets: ['10.1.0.0/16', '10.1.2.0/24'] }, says: /multiple overlapping subnet/ },
    { input: { subnets: ['10.1.2.0/24', '10.1.0.0/16'] }, says: /multiple overlapping subnet/ },
    { input: { subnets, ranges: ['10.3.0.0/24'] }, says: /no matching subnet for range 10.3/ },
    { input: { subnets, gateways: ['10.3.0.1'] }, says: /no matching subnet for gateway 10.3/ },
    { input: { subnets, auxiliary: { a: '10.3.0.1' } }, says: /no matching subnet for aux-add/ },
    {
      input: { subnets, ranges: ['10.1.0.0/24', '10.1.1.0/24'] },
      says: /cannot configure multiple ranges \(10.1.1.0\/24, 10.1.0.0\/24\) on the same subnet/,
    },
    {
      input: { subnets, gateways: ['10.1.0.1', '10.1.0.2'] },
      says: /cannot configure multiple gateways/,
    },
    { input: { subnets: ['10.1.0.0'], gateways: ['10.1.0.1'] }, says: /invalid CIDR address/ },
    { input: { subnets: ['10.1.0.0/40'], gateways: ['10.1.0.1'] }, says: /invalid CIDR address/ },
  ];
  for (const { input, says } of refusals) {
    it(`refuses ${JSON.stringify(input)}`, () => {
      assert.throws(() => ipamConfigs({ ...nothing, ...input }), says);
    });
  }
});
