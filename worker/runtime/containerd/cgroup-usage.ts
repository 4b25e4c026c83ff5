/** Reads what a container uses from its cgroups, in both versions of them. */
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { BlockUsage, NetworkUsage, Usage } from '../controls.ts';
import { readIfThere } from './cgroup-controls.ts';
import { cgroupRoot } from './host.ts';

/** Ticks of cpuacct.stat are hundredths of a second on every architecture that Linux has. */
const nsPerTick = 1e7;
/** Above this a limit of version 1 means none. */
const noLimit = 2 ** 62;

const unifiedFiles = [
  'cpu.stat',
  'memory.current',
  'memory.max',
  'memory.stat',
  'memory.events',
  'pids.current',
  'pids.max',
  'io.stat',
];

type CgroupUsage = Omit<Usage, 'networks'>;

export function readUsage(
  cgroupsPath: string,
  version: 1 | 2,
  root = cgroupRoot,
): Promise<CgroupUsage> {
  return version === 2 ? readUnified(join(root, cgroupsPath)) : readV1(cgroupsPath, root);
}

async function readV1(cgroupsPath: string, root: string): Promise<CgroupUsage> {
  const read = (controller: string, file: string) =>
    readIfThere(join(root, controller, cgroupsPath, `${controller}.${file}`));
  const [total, perCpu, split, throttling] = await Promise.all([
    read('cpuacct', 'usage'),
    read('cpuacct', 'usage_percpu'),
    read('cpuacct', 'stat'),
    read('cpu', 'stat'),
  ]);
  const [usage, max, limit, failures, stats] = await Promise.all(
    ['usage_in_bytes', 'max_usage_in_bytes', 'limit_in_bytes', 'failcnt', 'stat'].map((file) =>
      read('memory', file),
    ),
  );
  const [pids, pidsMax, bytes, operations] = await Promise.all([
    read('pids', 'current'),
    read('pids', 'max'),
    read('blkio', 'throttle.io_service_bytes_recursive'),
    read('blkio', 'throttle.io_serviced_recursive'),
  ]);
  const ticks = counters(split);
  const periods = counters(throttling);
  return {
    cpu: {
      totalNs: Number(total),
      kernelNs: (ticks['system'] ?? 0) * nsPerTick,
      userNs: (ticks['user'] ?? 0) * nsPerTick,
      perCpuNs: perCpu
        .trim()
        .split(' ')
        .filter((word) => word !== '')
        .map(Number),
      periods: periods['nr_periods'] ?? 0,
      throttledPeriods: periods['nr_throttled'] ?? 0,
      throttledNs: periods['throttled_time'] ?? 0,
    },
    memory: {
      usageBytes: Number(usage),
      maxBytes: Number(max),
      failures: Number(failures),
      limitBytes: limitOf(limit ?? ''),
      stats: counters(stats ?? ''),
    },
    pids: pidsOf(pids, pidsMax),
    block: { bytes: blockV1(bytes), operations: blockV1(operations) },
  };
}

async function readUnified(folder: string): Promise<CgroupUsage> {
  const [cpu, usage, limit, stats, events, pids, pidsMax, io] = await Promise.all(
    unifiedFiles.map((file) => readIfThere(join(folder, file))),
  );
  const times = counters(cpu ?? '');
  const ns = (name: string) => (times[name] ?? 0) * 1000;
  return {
    cpu: {
      totalNs: ns('usage_usec'),
      kernelNs: ns('system_usec'),
      userNs: ns('user_usec'),
      periods: times['nr_periods'] ?? 0,
      throttledPeriods: times['nr_throttled'] ?? 0,
      throttledNs: ns('throttled_usec'),
    },
    memory: {
      usageBytes: Number(usage),
      limitBytes: limitOf(limit ?? ''),
      // As often as an allocation was about to fail: what Docker tells in the place of the counter.
      failures: counters(events ?? '')['oom'] ?? 0,
      stats: counters(stats ?? ''),
    },
    pids: pidsOf(pids ?? '', pidsMax ?? ''),
    block: {
      bytes: blockUnified(io ?? '', { rbytes: 'read', wbytes: 'write' }),
      operations: blockUnified(io ?? '', { rios: 'read', wios: 'write' }),
    },
  };
}

/** "name number" a line. */
function counters(text: string): Record<string, number> {
  const pairs = text.split('\n').map((line) => line.split(' '));
  return Object.fromEntries(
    pairs.filter(([name]) => name).map(([name, value]) => [name ?? '', Number(value)]),
  );
}

/** Without a limit of its own, a container has all of the host's memory. */
function limitOf(text: string): number {
  const limit = Number(text);
  return text.trim() === '' || !(limit < noLimit) ? totalmem() : Math.min(limit, totalmem());
}

function pidsOf(current: string, max: string): CgroupUsage['pids'] {
  const limit = Number(max);
  const hasLimit = max.trim() !== '' && Number.isFinite(limit);
  return { current: Number(current), ...(hasLimit ? { limit } : {}) };
}

/** "8:0 Read 4096" a line, and a total at the end. */
function blockV1(text: string): readonly BlockUsage[] {
  return text.split('\n').flatMap((line) => {
    const [, major, minor, op, value] = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line) ?? [];
    if (op === undefined) return [];
    return [
      { major: Number(major), minor: Number(minor), op: op.toLowerCase(), value: Number(value) },
    ];
  });
}

/** "8:0 rbytes=1 wbytes=2 …" a line. */
function blockUnified(text: string, ops: Readonly<Record<string, string>>): readonly BlockUsage[] {
  return text.split('\n').flatMap((line) => {
    const [, major, minor, rest = ''] = /^(\d+):(\d+) (.*)$/.exec(line) ?? [];
    const values = rest.split(' ').map((pair) => pair.split('='));
    return values.flatMap(([key = '', value]) => {
      const op = ops[key];
      if (op === undefined) return [];
      return [{ major: Number(major), minor: Number(minor), op, value: Number(value) }];
    });
  });
}

/** Of the network namespace that the process is in. */
export async function networkUsage(pid: number): Promise<readonly NetworkUsage[]> {
  if (pid <= 1) return [];
  const text = await readIfThere(`/proc/${pid}/net/dev`);
  return text.split('\n').flatMap((line) => {
    const [, name = '', rest] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    if (rest === undefined || name === 'lo') return [];
    const counts = rest.split(/\s+/).map(Number);
    const at = (index: number) => counts[index] ?? 0;
    return [
      {
        interface: name,
        rxBytes: at(0),
        rxPackets: at(1),
        rxErrors: at(2),
        rxDropped: at(3),
        txBytes: at(8),
        txPackets: at(9),
        txErrors: at(10),
        txDropped: at(11),
      },
    ];
  });
}
