import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { isFrozen, pidsBelow } from './cgroup-controls.ts';
import { readUsage } from './cgroup-usage.ts';
import { oomKills } from './host.ts';

const cgroup = '/ts-swarm/one';

/** As the kernel's documentation of each version writes them. */
const unified: Readonly<Record<string, string>> = {
  'cgroup.events': 'populated 1\nfrozen 1\n',
  'cgroup.procs': '100\n',
  'cpu.stat':
    'usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\ncore_sched.force_idle_usec 0\n' +
    'nr_periods 10\nnr_throttled 4\nthrottled_usec 70\nnr_bursts 0\nburst_usec 0\n',
  'io.stat':
    '254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n' +
    '7:0 \n8:16 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=0 dios=0 cost.vrate=100.00\n',
  'memory.current': '65536\n',
  'memory.events': 'low 0\nhigh 2\nmax 9\noom 3\noom_kill 1\noom_group_kill 7\n',
  'memory.max': '134217728\n',
  'memory.stat': 'anon 4096\nfile 8192\ninactive_file 100\n',
  'pids.current': '3\n',
  'pids.max': '50\n',
  'inner/cgroup.procs': '200\n201\n',
  'inner/deeper/cgroup.procs': '300\n',
};

const first: Readonly<Record<string, string>> = {
  'memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
  'memory/memory.usage_in_bytes': '10\n',
  'memory/memory.limit_in_bytes': '9223372036854771712\n',
  'freezer/freezer.state': 'FROZEN\n',
  'pids/pids.max': 'max\n',
  'pids/cgroup.procs': '1\n',
  'blkio/blkio.throttle.io_service_bytes_recursive':
    '254:0 Read 4096\n254:0 Total 4096\nTotal 4096\n',
};

describe('files of cgroups', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'cgroup-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const write = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const writeUnified = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) write(join(root, cgroup, name), text);
  };

  it('of version 2 tell what a container uses', async () => {
    writeUnified(unified);
    assert.deepEqual(await readUsage(cgroup, 2, root), {
      cpu: {
        totalNs: 5_000_000,
        userNs: 3_000_000,
        kernelNs: 2_000_000,
        periods: 10,
        throttledPeriods: 4,
        throttledNs: 70_000,
      },
      memory: {
        usageBytes: 65_536,
        limitBytes: Math.min(134_217_728, totalmem()),
        failures: 3,
        stats: { anon: 4096, file: 8192, inactive_file: 100 },
      },
      pids: { current: 3, limit: 50 },
      block: {
        bytes: [
          { major: 254, minor: 0, op: 'read', value: 4096 },
          { major: 254, minor: 0, op: 'write', value: 8192 },
          { major: 8, minor: 16, op: 'read', value: 1 },
          { major: 8, minor: 16, op: 'write', value: 0 },
        ],
        operations: [
          { major: 254, minor: 0, op: 'read', value: 1 },
          { major: 254, minor: 0, op: 'write', value: 2 },
          { major: 8, minor: 16, op: 'read', value: 1 },
          { major: 8, minor: 16, op: 'write', value: 0 },
        ],
      },
    });
  });

  it('of version 2 write "max" where there is no limit', async () => {
    writeUnified({ ...unified, 'memory.max': 'max\n', 'pids.max': 'max\n' });
    const { memory, pids } = await readUsage(cgroup, 2, root);
    assert.equal(memory.limitBytes, totalmem());
    assert.deepEqual(pids, { current: 3 });
  });

  it('of version 2 that are not there are of controllers that are not on', async () => {
    const { memory, pids, block } = await readUsage(cgroup, 2, root);
    assert.deepEqual([memory.usageBytes, pids, block.bytes], [0, { current: 0 }, []]);
    assert.equal(await oomKills(cgroup, 2, root), 0);
    assert.equal(await isFrozen(cgroup, 2, root), false);
  });

  it('of version 1 do as well', async () => {
    for (const [name, text] of Object.entries(first)) {
      const [controller = '', file = ''] = name.split('/');
      write(join(root, controller, cgroup, file), text);
    }
    const { memory, pids, block } = await readUsage(cgroup, 1, root);
    assert.deepEqual([memory.usageBytes, memory.limitBytes], [10, totalmem()]);
    assert.deepEqual(pids, { current: 0 });
    assert.deepEqual(block.bytes, [
      { major: 254, minor: 0, op: 'read', value: 4096 },
      { major: 254, minor: 0, op: 'total', value: 4096 },
    ]);
    assert.equal(await oomKills(cgroup, 1, root), 2);
    assert.equal(await isFrozen(cgroup, 1, root), true);
  });

  it('tell of kills for want of memory, and of what is frozen', async () => {
    writeUnified(unified);
    assert.equal(await oomKills(cgroup, 2, root), 1);
    assert.equal(await isFrozen(cgroup, 2, root), true);
    writeUnified({
      'cgroup.events': 'populated 1\nfrozen 0\n',
      'memory.events': 'oom 1\noom_kill 0\n',
    });
    assert.equal(await oomKills(cgroup, 2, root), 0);
    assert.equal(await isFrozen(cgroup, 2, root), false);
  });

  it('name the processes of cgroups below as well', async () => {
    writeUnified(unified);
    assert.deepEqual(
      (await pidsBelow(join(root, cgroup))).toSorted((a, b) => a - b),
      [100, 200, 201, 300],
    );
    assert.deepEqual(await pidsBelow(join(root, 'nowhere')), []);
  });
});
