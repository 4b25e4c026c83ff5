import { strict as assert } from 'node:assert';
import type { NetworkInterfaceInfo } from 'node:os';
import { resolveAdvertiseAddr, resolveDataPathAddr, resolveListenAddr } from './addresses.ts';

const address = (text: string, internal = false): NetworkInterfaceInfo => ({
  address: text,
  family: 'IPv4',
  netmask: '255.255.255.0',
  mac: '02:42:0a:00:00:01',
  cidr: `${text}/24`,
  internal,
});
const one = { lo: [address('127.0.0.1', true)], eth0: [address('10.0.0.1')] };
const two = { ...one, eth1: [address('192.168.1.5')] };
const bridged = { ...one, 'ts-swarm0': [address('172.18.0.1')] };

describe('addresses', () => {
  it('listens everywhere unless told otherwise', () => {
    assert.equal(resolveListenAddr('', one), '0.0.0.0:2377');
    assert.equal(resolveListenAddr('10.0.0.1', one), '10.0.0.1:2377');
    assert.equal(resolveListenAddr('eth0:4000', one), '10.0.0.1:4000');
    assert.throws(() => resolveListenAddr('eth7', one), { code: 'invalid-argument' });
  });

  it('advertises the only address that there is', () => {
    assert.equal(resolveAdvertiseAddr('', '0.0.0.0:2377', one), '10.0.0.1:2377');
    assert.equal(resolveAdvertiseAddr('', '0.0.0.0:2377', bridged), '10.0.0.1:2377');
    assert.equal(resolveAdvertiseAddr('', '10.0.0.9:4000', two), '10.0.0.9:4000');
    assert.equal(resolveAdvertiseAddr('eth1', '0.0.0.0:4000', two), '192.168.1.5:4000');
    assert.equal(resolveAdvertiseAddr('10.0.0.1:99', '0.0.0.0:4000', two), '10.0.0.1:99');
  });

  it('asks for a choice where there are several, naming them', () => {
    assert.throws(() => resolveAdvertiseAddr('', '0.0.0.0:2377', two), {
      code: 'invalid-argument',
      message: /10\.0\.0\.1 on interface eth0, 192\.168\.1\.5 on interface eth1.*--advertise-addr/,
    });
    assert.throws(() => resolveAdvertiseAddr('', '0.0.0.0:2377', { lo: one.lo }), {
      message: /--advertise-addr/,
    });
    assert.throws(() => resolveAdvertiseAddr('0.0.0.0', '0.0.0.0:2377', one), {
      message: /non-zero/,
    });
  });

  it('sends data where it advertises, unless told otherwise', () => {
    assert.equal(resolveDataPathAddr('', '10.0.0.1:2377', two), '10.0.0.1');
    assert.equal(resolveDataPathAddr('eth1', '10.0.0.1:2377', two), '192.168.1.5');
  });
});
