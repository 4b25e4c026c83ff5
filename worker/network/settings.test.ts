import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namespaceSettings } from './container-interfaces.ts';
import { auditSettings, forwardIpv6, offersIpv6, turnIpv6On, writeSettings } from './settings.ts';

describe('settings of the kernel', () => {
  let folder: string;
  const put = (name: string, value: string) => {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, `${value}\n`);
  };
  const read = (name: string) => readFileSync(join(folder, name), 'utf8').trim();

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-settings-'));
    put('ipv4/conf/all/rp_filter', '1');
    put('ipv4/conf/default/rp_filter', '1');
    put('ipv4/ip_forward', '0');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('of a new namespace can be written where the kernel has no IPv6', () => {
    assert.equal(offersIpv6(folder), false);
    writeSettings(namespaceSettings(offersIpv6(folder)), folder);
    assert.equal(read('ipv4/conf/all/rp_filter'), '0');
    assert.throws(() => turnIpv6On('eth0', folder), /its kernel was started without IPv6/);
  });

  it('are put right, and those that are not there left alone', () => {
    const wanted = { 'ipv4/ip_forward': 1, 'bridge/bridge-nf-call-iptables': 0 };
    assert.deepEqual(auditSettings(wanted, folder), [{ kind: 'setting', what: 'ipv4/ip_forward' }]);
    assert.equal(read('ipv4/ip_forward'), '1');
    assert.deepEqual(auditSettings(wanted, folder), []);
  });

  it('let a host that forwards IPv6 listen to routers still', () => {
    for (const [link, value] of [
      ['all', '0'],
      ['eth0', '1'],
      ['eth1', '0'],
      ['eth2', '2'],
    ] as const) {
      put(`ipv6/conf/${link}/accept_ra`, value);
    }
    put('ipv6/conf/all/forwarding', '0');
    assert.equal(forwardIpv6(folder), true);
    assert.equal(read('ipv6/conf/all/forwarding'), '1');
    const listens = ['all', 'eth0', 'eth1', 'eth2'].map((link) =>
      read(`ipv6/conf/${link}/accept_ra`),
    );
    assert.deepEqual(listens, ['0', '2', '0', '2']);
    assert.equal(forwardIpv6(folder), false);
  });
});
