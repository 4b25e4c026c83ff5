/** What a container uses, as `docker stats` reads it. */
import type { ContainerRecord } from '../../worker/container/view.ts';
import type { BlockUsage, Usage } from '../../worker/runtime/controls.ts';
import type { Json, JsonObject } from './json.ts';
import { timeText, zeroTime } from './time.ts';

interface StatsReading {
  /** Absent: the container does not run. */
  readonly usage: Usage | undefined;
  readonly atMs: number;
  /** Of all of the host's CPUs together. */
  readonly systemNs: number;
}

export function statsJson(
  { id, name }: Pick<ContainerRecord, 'id' | 'name'>,
  now: StatsReading,
  last: StatsReading | undefined,
  cpus: number,
): JsonObject {
  const { usage } = now;
  return {
    name: `/${name}`,
    id,
    read: timeText(now.atMs),
    preread: last === undefined ? zeroTime : timeText(last.atMs),
    pids_stats:
      usage === undefined
        ? {}
        : {
            current: usage.pids.current,
            ...(usage.pids.limit === undefined ? {} : { limit: usage.pids.limit }),
          },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuJson(now, cpus),
    precpu_stats: cpuJson(last, cpus),
    memory_stats: usage === undefined ? {} : memoryJson(usage.memory),
    blkio_stats: blocksJson(usage),
    ...(usage === undefined || usage.networks.length === 0
      ? {}
      : { networks: networksJson(usage) }),
  };
}

function cpuJson(reading: StatsReading | undefined, cpus: number): JsonObject {
  const cpu = reading?.usage?.cpu;
  if (reading === undefined || cpu === undefined) {
    return {
      cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
      throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
    };
  }
  return {
    cpu_usage: {
      total_usage: cpu.totalNs,
      ...(cpu.perCpuNs === undefined ? {} : { percpu_usage: cpu.perCpuNs }),
      usage_in_kernelmode: cpu.kernelNs,
      usage_in_usermode: cpu.userNs,
    },
    system_cpu_usage: reading.systemNs,
    online_cpus: cpus,
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttledPeriods,
      throttled_time: cpu.throttledNs,
    },
  };
}

function memoryJson(memory: Usage['memory']): JsonObject {
  return {
    usage: memory.usageBytes,
    ...(memory.maxBytes === undefined ? {} : { max_usage: memory.maxBytes }),
    stats: memory.stats,
    ...(memory.failures ? { failcnt: memory.failures } : {}),
    limit: memory.limitBytes,
  };
}

/** Linux tells the rest no more; cgroups of version 1 have empty lists for it. */
function blocksJson(usage: Usage | undefined): JsonObject {
  const none = usage?.cpu.perCpuNs === undefined ? null : [];
  return {
    io_service_bytes_recursive: blockJson(usage?.block.bytes),
    io_serviced_recursive: blockJson(usage?.block.operations),
    io_queue_recursive: none,
    io_service_time_recursive: none,
    io_wait_time_recursive: none,
    io_merged_recursive: none,
    io_time_recursive: none,
    sectors_recursive: none,
  };
}

function blockJson(usages: readonly BlockUsage[] | undefined): Json {
  if (usages === undefined) return null;
  return usages.map(({ major, minor, op, value }) => ({ major, minor, op, value }));
}

function networksJson({ networks }: Usage): JsonObject {
  return Object.fromEntries(
    networks.map((one) => [
      one.interface,
      {
        rx_bytes: one.rxBytes,
        rx_packets: one.rxPackets,
        rx_errors: one.rxErrors,
        rx_dropped: one.rxDropped,
        tx_bytes: one.txBytes,
        tx_packets: one.txPackets,
        tx_errors: one.txErrors,
        tx_dropped: one.txDropped,
      },
    ]),
  );
}
