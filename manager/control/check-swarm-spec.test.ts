import { strict as assert } from 'node:assert';
import { swarmSpec } from '../../types/index.ts';
import { checkSwarmSpec } from './check-swarm-spec.ts';

describe('swarm specs', () => {
  const check = (given: unknown) => checkSwarmSpec(swarmSpec.decode(given, ''));
  const hourNs = 3_600e9;
  const refused = [
    {
      given: { CAConfig: { NodeCertExpiry: hourNs - 1 } },
      says: 'minimum certificate expiry time is: 1h0m0s',
    },
    {
      given: { Dispatcher: { HeartbeatPeriod: -1 } },
      says: 'heartbeat time period cannot be a negative duration',
    },
    {
      given: { Dispatcher: { HeartbeatPeriod: 24 * hourNs + 1000 } },
      says: 'heartbeat time period cannot be more than 24h: no lost node would be missed',
    },
    { given: { Name: 'mine' }, says: 'modification of cluster name is not allowed' },
  ];
  for (const { given, says } of refused) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      assert.throws(() => check(given), { message: says });
    });
  }

  it('takes an empty one, and one with everything at its default', () => {
    check({});
    check({ Name: 'default', CAConfig: { NodeCertExpiry: hourNs } });
  });
});
