/** What is left of a node on which `ts-swarm uninstall` was run: nothing. */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { binary, Lab, until, type Host } from '../lab/index.ts';

/** What a host has, by kind; each line is a thing. */
const kinds = {
  links: 'ip -o link | cut -d: -f2',
  addresses: "ip -o address | awk '{ print $2, $4 }'",
  rules: 'nft list tables',
  // What other programs of the machine have below /tmp goes from here, too, with its folder.
  mounts: "cut -d' ' -f5 /proc/self/mountinfo | grep -v ^/tmp/",
  processes: 'ps -e -o args --no-headers | grep -v "^ps \\|^sh \\|^grep "',
  cgroups: 'find /sys/fs/cgroup -mindepth 1 -type d',
} as const;

describe('a host', () => {
  let lab: Lab;
  let host: Host;
  before(async () => {
    lab = await Lab.create({ hosts: 1 });
    host = lab.host('h1');
  });
  after(() => lab.close());

  const roots = () => [`--data-root=${host.dataRoot}`, `--run-root=${host.runRoot}`];
  const look = async () => {
    const found: Record<string, string[]> = {};
    for (const [kind, command] of Object.entries(kinds)) {
      found[kind] = (await host.exec(`${command} || true`)).split('\n').toSorted();
    }
    return found;
  };

  for (const [name, end] of [
    ['whose daemon runs', undefined],
    ['whose daemon was killed', () => host.killDaemon()],
  ] as const) {
    it(`${name} has nothing of ts-swarm after it was uninstalled`, async () => {
      const image = await lab.image('web:1');
      // The host itself comes up by and by: its first process, and addresses that are told alone.
      const ofLinks = 'cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6 || true';
      const hasOwn = (await host.exec(ofLinks)).trim() === '0';
      const before = await until('the host is as it stays', look, {
        accept: ({ processes = [], addresses = [] }) =>
          processes.includes('sleep infinity') &&
          addresses.some((line) => line.startsWith('eth0 fe80:')) === hasOwn,
      });
      await host.startDaemon();
      await host.cli('init', '--advertise-addr', host.address);
      await host.cli('network', 'create', '--driver', 'overlay', 'shop');
      const service = ['--name', 'web', '--network', 'shop', '--publish', '8080:80', image];
      await host.cli('service', 'create', '--quiet', '--replicas', '2', ...service);
      await host.docker('network', 'create', 'mine');
      await host.docker('run', '-d', '--network', 'mine', '-p', '9000:80', '-v', 'kept:/x', image);
      await end?.();

      const refused = await host.exec(`${binary} uninstall ${roots().join(' ')} </dev/null`);
      assert.match(refused, /Are you sure you want to continue\? \[y\/N\] $/);
      assert.ok(existsSync(host.dataRoot), 'nobody said yes');

      const out = await host.exec([binary, 'uninstall', '--force', ...roots()]);
      assert.equal(out, 'Nothing of ts-swarm runs on this host any more.\n');
      // What was killed may still be on its way out of the kernel.
      const after = await until('all is as it was', look, {
        accept: (found) => isDeepStrictEqual(found, before),
      }).catch(look);
      assert.deepEqual(after, before);
      assert.ok(!existsSync(host.dataRoot) && !existsSync(host.runRoot));
    });
  }
});
