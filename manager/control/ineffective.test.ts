import { strict as assert } from 'node:assert';
import type { ServiceSpec } from '../../types/index.ts';
import { ineffective } from './ineffective.ts';

describe('what changes nothing', () => {
  const spec = (driverOpts?: Record<string, string>): ServiceSpec => ({
    name: 'web',
    labels: {},
    mode: {},
    task: {
      forceUpdate: 0,
      networks: [
        { target: 'back' },
        { target: 'front', ...(driverOpts === undefined ? {} : { driverOpts }) },
      ],
    },
  });

  it('is said of driver options of attachments, by their names', () => {
    assert.deepEqual(ineffective(spec({ b: '1', a: '2' })), [
      'the driver options for network front (a, b) change nothing: overlay networks have none for ' +
        'an attachment',
    ]);
  });

  it('is nothing elsewhere', () => {
    assert.deepEqual(ineffective(spec()), []);
    assert.deepEqual(ineffective(spec({})), []);
    const heeded = { 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.log_martians=1' };
    assert.deepEqual(ineffective(spec(heeded)), []);
  });
});
