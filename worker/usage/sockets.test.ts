import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { acceptedConnections, openConnections } from './sockets.ts';

const title = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt';
const rest = '00000000:00000000 00:00000000 00000000     0        0 1609 1 0 100 0 0 10 0';
const line = (index: number, text: string) => `   ${index}: ${text} ${rest}`;

describe('the connections of a namespace', () => {
  const v4 = [
    title,
    line(0, '00000000:0050 00000000:0000 0A'),
    line(1, '0300000A:0050 0900000A:DC04 01'),
    line(2, '0300000A:0050 0800000A:DC05 01'),
    line(3, '0100007F:0050 0100007F:DC06 01'),
    line(4, '0300000A:0050 0900000A:DC07 06'),
    line(5, '0300000A:DC08 0700000A:1538 01'),
  ].join('\n');
  const v6 = [
    title,
    line(0, '00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A'),
    line(1, '0000000000000000FFFF00000300000A:1F90 0000000000000000FFFF00000900000A:DC04 01'),
    line(2, '0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:DC05 01'),
    line(3, '00000000000000000000000001000000:1F90 00000000000000000000000001000000:DC06 01'),
    line(4, '000000FD000000000000000001000000:1F90 000000FD000000000000000002000000:DC07 01'),
  ].join('\n');
  const cases = [
    { name: 'those of others to its own ports count', tables: [v4], expect: 2 },
    { name: 'IPv6 counts, and IPv4 within it', tables: ['', v6], expect: 2 },
    { name: 'both together', tables: [v4, v6], expect: 4 },
    { name: 'a namespace that is gone has none', tables: ['', ''], expect: 0 },
  ];
  for (const { name, tables, expect } of cases) {
    it(name, () => assert.equal(openConnections(tables), expect));
  }

  it('accepted so far are what the kernel has counted', () => {
    const { stdout } = spawnSync('unshare', ['-n', 'cat', '/proc/self/net/snmp']);
    assert.equal(acceptedConnections(String(stdout)), 0);
    const counted = 'Ip: A\nIp: 1\nTcp: ActiveOpens PassiveOpens\nTcp: 3 77\n';
    assert.equal(acceptedConnections(counted), 77);
    assert.equal(acceptedConnections(''), undefined);
    assert.equal(acceptedConnections('Tcp: ActiveOpens\nTcp: 3\n'), undefined);
  });
});
