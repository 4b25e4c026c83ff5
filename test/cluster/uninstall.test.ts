/** What is left of a node on which `ts-swarm uninstall` was run: nothing. */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { binary, Lab, type Host } from '../lab/index.ts';

/** What a host has, by kind; each line is a thing. */
const kinds = {
  links: 'ip -o link | cut -d: -f2',
  addresses: "ip -o address | awk '{ print $2, $4 }'",
  rules: 'nft list tables',
  mounts: "cut -d' ' -f5 /proc/self/mountinfo",
  processes: 'ps -e -o args --no-headers | grep -v "^ps \\|^sh "',
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
      const before = await look();
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
      assert.deepEqual(await look(), before);
      assert.ok(!existsSync(host.dataRoot) && !existsSync(host.runRoot));
    });
  }
});
