import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { HostServers } from './host-servers.ts';

describe("the host's name servers", () => {
  let folder: string;
  let path: string;
  let clock: VirtualClock;
  let servers: HostServers;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'host-servers-'));
    path = join(folder, 'resolv.conf');
    clock = new VirtualClock();
    servers = new HostServers(path, { clock, log: silentLogger });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const seen = () => {
    clock.advance(2000);
    return servers.get().map(({ address }) => address);
  };

  it('are followed while the file is written anew, replaced, removed and made again', () => {
    assert.deepEqual(seen(), []);
    writeFileSync(
      path,
      '# by hand\n nameserver 192.0.2.1 \nsearch example\nnameserver fe80::1%eth0\n',
    );
    assert.deepEqual(seen(), ['192.0.2.1', 'fe80::1%eth0']);
    writeFileSync(join(folder, 'next'), 'nameserver 192.0.2.2\n');
    renameSync(join(folder, 'next'), path);
    assert.deepEqual(seen(), ['192.0.2.2']);
    rmSync(path);
    assert.deepEqual(seen(), []);
    writeFileSync(path, 'nameserver 192.0.2.3\n');
    assert.deepEqual(seen(), ['192.0.2.3']);
  });

  it('stay what they were while the file cannot be read', () => {
    writeFileSync(path, 'nameserver 192.0.2.1\n');
    assert.deepEqual(seen(), ['192.0.2.1']);
    rmSync(path);
    mkdirSync(path);
    assert.deepEqual(seen(), ['192.0.2.1']);
    rmSync(path, { recursive: true });
    symlinkSync(path, path);
    assert.deepEqual(seen(), ['192.0.2.1']);
    rmSync(path);
    writeFileSync(path, 'nameserver 192.0.2.4\n');
    assert.deepEqual(seen(), ['192.0.2.4']);
  });
});
