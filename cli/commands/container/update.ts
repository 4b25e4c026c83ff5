import { bytes, cpus, integer, text, type Flag } from '../../command/flags.ts';
import { parseRestart, parseSwap } from '../../container/create-parse.ts';
import { parsed } from '../../container/draft.ts';
import { eachContainer } from '../../container/verb.ts';

const fields: readonly (readonly [Flag<unknown>, string])[] = [
  [
    integer('blkio-weight', 'Block IO (relative weight), between 10 and 1000, or 0 to disable'),
    'BlkioWeight',
  ],
  [integer('cpu-period', 'Limit CPU CFS (Completely Fair Scheduler) period'), 'CpuPeriod'],
  [integer('cpu-quota', 'Limit CPU CFS (Completely Fair Scheduler) quota'), 'CpuQuota'],
  [integer('cpu-rt-period', 'Limit the CPU real-time period in microseconds'), 'CpuRealtimePeriod'],
  [
    integer('cpu-rt-runtime', 'Limit the CPU real-time runtime in microseconds'),
    'CpuRealtimeRuntime',
  ],
  [integer('cpu-shares', 'CPU shares (relative weight)', { short: 'c' }), 'CpuShares'],
  [cpus('cpus', 'Number of CPUs'), 'NanoCpus'],
  [text('cpuset-cpus', 'CPUs in which to allow execution (0-3, 0,1)'), 'CpusetCpus'],
  [text('cpuset-mems', 'MEMs in which to allow execution (0-3, 0,1)'), 'CpusetMems'],
  [bytes('memory', 'Memory limit', { short: 'm' }), 'Memory'],
  [bytes('memory-reservation', 'Memory soft limit'), 'MemoryReservation'],
  [
    parsed(
      'memory-swap',
      "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
      parseSwap,
      { word: 'bytes' },
    ),
    'MemorySwap',
  ],
  [integer('pids-limit', 'Tune container pids limit (set -1 for unlimited)'), 'PidsLimit'],
  [
    parsed('restart', 'Restart policy to apply when a container exits', parseRestart),
    'RestartPolicy',
  ],
];

export const command = eachContainer(
  fields.map(([flag]) => flag),
  (client, path, flags) =>
    client.json('POST', `${path}/update`, {
      body: Object.fromEntries(
        fields.flatMap(([flag, field]) =>
          flags.has(flag) ? [[field, flags.get(flag)] as const] : [],
        ),
      ),
    }),
);
