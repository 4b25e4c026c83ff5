/** What `stats` shows of a container, reckoned from two readings of its counters. */
import { humanBinarySize, humanSize } from '../format/units.ts';

export interface WireStats {
  readonly id: string;
  readonly name: string;
  readonly cpu_stats: WireCpu;
  readonly precpu_stats: WireCpu;
  readonly memory_stats: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly pids_stats: { readonly current?: number };
  readonly networks?: Readonly<Record<string, { rx_bytes: number; tx_bytes: number }>>;
  readonly blkio_stats: {
    readonly io_service_bytes_recursive?: readonly { op: string; value: number }[] | null;
  };
}

interface WireCpu {
  readonly cpu_usage: { readonly total_usage: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

export interface StatsRow {
  readonly id: string;
  readonly name: string;
  readonly cpuPercent: number;
  readonly memoryBytes: number;
  readonly limitBytes: number;
  readonly received: number;
  readonly sent: number;
  readonly read: number;
  readonly written: number;
  readonly pids: number;
}

export function statsRow(stats: WireStats): StatsRow {
  const networks = Object.values(stats.networks ?? {});
  const blocks = stats.blkio_stats.io_service_bytes_recursive ?? [];
  const bytesOf = (op: string) =>
    blocks
      .filter((block) => block.op.toLowerCase() === op)
      .reduce((sum, { value }) => sum + value, 0);
  return {
    id: stats.id,
    name: stats.name.replace(/^\//, ''),
    cpuPercent: cpuPercent(stats),
    memoryBytes: memoryOf(stats.memory_stats),
    limitBytes: stats.memory_stats.limit ?? 0,
    received: networks.reduce((sum, { rx_bytes: bytes }) => sum + bytes, 0),
    sent: networks.reduce((sum, { tx_bytes: bytes }) => sum + bytes, 0),
    read: bytesOf('read'),
    written: bytesOf('write'),
    pids: stats.pids_stats.current ?? 0,
  };
}

/** Of one CPU: two that are busy are 200. */
function cpuPercent({ cpu_stats: now, precpu_stats: before }: WireStats): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const passed = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  return used > 0 && passed > 0 ? (used / passed) * (now.online_cpus ?? 1) * 100 : 0;
}

/** Pages of files that nobody has looked at for long are the kernel's to take back. */
function memoryOf({ usage = 0, stats = {} }: WireStats['memory_stats']): number {
  const idle = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0;
  return idle < usage ? usage - idle : usage;
}

const percent = (value: number) => `${value.toFixed(2)}%`;

export const statsColumns = {
  Container: { header: 'CONTAINER', value: ({ id }: StatsRow) => id.slice(0, 12) },
  ID: { header: 'CONTAINER ID', value: ({ id }: StatsRow) => id.slice(0, 12) },
  Name: { header: 'NAME', value: ({ name }: StatsRow) => name },
  CPUPerc: { header: 'CPU %', value: (row: StatsRow) => percent(row.cpuPercent) },
  MemUsage: {
    header: 'MEM USAGE / LIMIT',
    value: (row: StatsRow) =>
      `${humanBinarySize(row.memoryBytes)} / ${humanBinarySize(row.limitBytes)}`,
  },
  MemPerc: {
    header: 'MEM %',
    value: ({ memoryBytes, limitBytes }: StatsRow) =>
      percent(limitBytes === 0 ? 0 : (memoryBytes / limitBytes) * 100),
  },
  NetIO: {
    header: 'NET I/O',
    value: (row: StatsRow) => `${humanSize(row.received, 3)} / ${humanSize(row.sent, 3)}`,
  },
  BlockIO: {
    header: 'BLOCK I/O',
    value: (row: StatsRow) => `${humanSize(row.read, 3)} / ${humanSize(row.written, 3)}`,
  },
  PIDs: { header: 'PIDS', value: ({ pids }: StatsRow) => String(pids) },
};
