import { strict as assert } from 'node:assert';
import {
  allowDevicesLabel,
  allowPrivilegedLabel,
  devicesLabel,
  devicesOf,
  deviceText,
  isPrivileged,
  parseDevice,
  privilegedLabel,
  whyForbidden,
} from './privileges.ts';

describe('types/privileges', () => {
  const devices = [
    { text: '/dev/a', expect: ['/dev/a', '/dev/a', 'rwm'] },
    { text: '/dev/a:/dev/b', expect: ['/dev/a', '/dev/b', 'rwm'] },
    { text: '/dev/a:r', expect: ['/dev/a', '/dev/a', 'r'] },
    { text: '/dev/a:/dev/b:rw', expect: ['/dev/a', '/dev/b', 'rw'] },
    { text: 'dev/a', expect: undefined },
    { text: '/dev/a:', expect: undefined },
    { text: '/dev/a:rwx', expect: undefined },
    { text: '/dev/a:/dev/b:r:w', expect: undefined },
    { text: 'vendor.com/gpu=0', expect: undefined },
    { text: '', expect: undefined },
  ];
  for (const { text, expect } of devices) {
    it(`reads "${text}"`, () => {
      const device = parseDevice(text);
      const { pathOnHost, pathInContainer, permissions } = device ?? {};
      assert.deepEqual(device && [pathOnHost, pathInContainer, permissions], expect);
      if (device !== undefined) assert.equal(deviceText(device), text);
    });
  }

  it('reads the labels', () => {
    assert.deepEqual(devicesOf({}), []);
    assert.equal(isPrivileged({ labels: { [privilegedLabel]: 'false' } }), false);
    const labels = { [devicesLabel]: '/dev/a,/dev/b:r' };
    assert.deepEqual(devicesOf({ labels }).map(deviceText), ['/dev/a', '/dev/b:r']);
  });

  const all = { labels: { [privilegedLabel]: 'true' } };
  const some = { labels: { [devicesLabel]: '/dev/a' } };
  const cases = [
    { name: 'what asks for nothing', container: {}, swarm: {}, expect: undefined },
    { name: 'no container', container: undefined, swarm: {}, expect: undefined },
    { name: 'privileges', container: all, swarm: {}, expect: /--allow-privileged/ },
    { name: 'devices', container: some, swarm: {}, expect: /--allow-devices/ },
    {
      name: 'privileges where devices are allowed',
      container: all,
      swarm: { [allowDevicesLabel]: 'true' },
      expect: /--allow-privileged/,
    },
    {
      name: 'devices where they are allowed',
      container: some,
      swarm: { [allowDevicesLabel]: 'true' },
      expect: undefined,
    },
    {
      name: 'devices where privileges are allowed',
      container: some,
      swarm: { [allowPrivilegedLabel]: 'true' },
      expect: undefined,
    },
  ];
  for (const { name, container, swarm, expect } of cases) {
    it(`${expect === undefined ? 'allows' : 'forbids'} ${name}`, () => {
      const why = whyForbidden(container, swarm);
      if (expect === undefined) assert.equal(why, undefined);
      else assert.match(why ?? '', expect);
    });
  }
});
