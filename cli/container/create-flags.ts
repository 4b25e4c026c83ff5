/** The flags of `create` and `run` that say what the container is. */
import { mount } from '../../types/index.ts';
import { bool, bytes, cpus, durationMs, integer, list, listOf, text } from '../command/flags.ts';
import { parseAddress } from '../format/parse.ts';
import { envEntry, readEnvFile } from '../service/env.ts';
import { ulimit } from '../service/container-flags.ts';
import { parseMount } from '../service/mounts.ts';
import * as parse from './create-parse.ts';
import {
  config,
  host,
  pairsOf,
  parsed,
  setting,
  type ContainerDraft,
  type CreateFlag,
} from './draft.ts';

type Env = Readonly<Record<string, string | undefined>>;

const interactive = bool('interactive', 'Keep STDIN open even if not attached', { short: 'i' });

const process: readonly CreateFlag[] = [
  config(text('domainname', 'Container NIS domain name'), 'Domainname'),
  setting(text('entrypoint', 'Overwrite the default ENTRYPOINT of the image'), (draft, value) => {
    draft.config['Entrypoint'] = value === '' ? [''] : [value];
  }),
  config(text('hostname', 'Container host name', { short: 'h' }), 'Hostname'),
  setting(interactive, ({ config: own }, value) => {
    own['OpenStdin'] = value;
    own['StdinOnce'] = value;
  }),
  config(text('stop-signal', 'Signal to stop the container'), 'StopSignal'),
  config(integer('stop-timeout', 'Timeout (in seconds) to stop a container'), 'StopTimeout'),
  config(bool('tty', 'Allocate a pseudo-TTY', { short: 't' }), 'Tty'),
  config(
    text('user', 'Username or UID (format: <name|uid>[:<group|gid>])', { short: 'u' }),
    'User',
  ),
  config(text('workdir', 'Working directory inside the container', { short: 'w' }), 'WorkingDir'),
  host(list('group-add', 'Add additional groups to join'), 'GroupAdd'),
  host(
    bool('init', 'Run an init inside the container that forwards signals and reaps processes'),
    'Init',
  ),
  host(integer('oom-score-adj', "Tune host's OOM preferences (-1000 to 1000)"), 'OomScoreAdj'),
  host(bool('oom-kill-disable', 'Disable OOM Killer'), 'OomKillDisable'),
  host(
    parsed('restart', 'Restart policy to apply when a container exits', parse.parseRestart, {
      shownDefault: '"no"',
    }),
    'RestartPolicy',
  ),
  host(bool('rm', 'Automatically remove the container when it exits'), 'AutoRemove'),
  host(text('runtime', 'Runtime to use for this container'), 'Runtime'),
  host(text('isolation', 'Container isolation technology'), 'Isolation'),
];

const places: readonly CreateFlag[] = [
  host(
    listOf(
      'gpus',
      "GPU devices to add to the container ('all' to pass all GPUs)",
      parse.parseGpus,
      {
        word: 'gpu-request',
      },
    ),
    'DeviceRequests',
  ),
  setting(
    listOf('device', 'Add a host device to the container', parse.parseDevice),
    ({ host: hosts }, value) => {
      hosts['Devices'] = value.filter((one) => typeof one !== 'string');
      const names = value.filter((one) => typeof one === 'string');
      if (names.length === 0) return;
      // After those of --gpus, as docker's CLI sends them.
      const before = (hosts['DeviceRequests'] as readonly object[] | undefined) ?? [];
      hosts['DeviceRequests'] = [...before, { Driver: 'cdi', DeviceIDs: names }];
    },
  ),
  host(
    list('device-cgroup-rule', 'Add a rule to the cgroup allowed devices list'),
    'DeviceCgroupRules',
  ),
  setting(
    listOf('mount', 'Attach a filesystem mount to the container', parseMount, { word: 'mount' }),
    (draft, value) => (draft.host['Mounts'] = value.map((one) => mount.encode(one))),
  ),
  host(bool('read-only', "Mount the container's root filesystem as read only"), 'ReadonlyRootfs'),
  setting(list('storage-opt', 'Storage driver options for the container'), (draft, value) => {
    draft.host['StorageOpt'] = pairsOf(value);
  }),
  setting(list('tmpfs', 'Mount a tmpfs directory'), (draft, value) => {
    draft.host['Tmpfs'] = Object.fromEntries(
      value.map((entry) => {
        const at = entry.indexOf(':');
        return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
      }),
    );
  }),
  setting(
    listOf('volume', 'Bind mount a volume', parse.parseVolume, { short: 'v' }),
    (draft, value) => {
      const binds = value.flatMap(({ bind }) => bind ?? []);
      const volumes = value.flatMap(({ volume }) => volume ?? []);
      if (binds.length > 0) draft.host['Binds'] = binds;
      if (volumes.length > 0) {
        draft.config['Volumes'] = Object.fromEntries(volumes.map((path) => [path, {}]));
      }
    },
  ),
  host(text('volume-driver', 'Optional volume driver for the container'), 'VolumeDriver'),
  host(list('volumes-from', 'Mount volumes from the specified container(s)'), 'VolumesFrom'),
];

const names: readonly CreateFlag[] = [
  host(list('add-host', 'Add a custom host-to-IP mapping (host:ip)'), 'ExtraHosts'),
  host(listOf('dns', 'Set custom DNS servers', parseAddress), 'Dns'),
  host(list('dns-option', 'Set DNS options'), 'DnsOptions'),
  host(list('dns-search', 'Set custom DNS search domains'), 'DnsSearch'),
  setting(
    listOf('expose', 'Expose a port or a range of ports', parse.parseExpose),
    ({ config: own }, value) => {
      const keys = value.flat().map((key) => [key, {}]);
      own['ExposedPorts'] = { ...(own['ExposedPorts'] as object), ...Object.fromEntries(keys) };
    },
  ),
  host(list('link', 'Add link to another container'), 'Links'),
  setting(
    listOf('publish', "Publish a container's port(s) to the host", parse.parsePort, { short: 'p' }),
    ({ config: own, host: hosts }, value) => {
      const bindings: Record<string, object[]> = {};
      for (const { key, binding } of value.flat()) (bindings[key] ??= []).push(binding);
      hosts['PortBindings'] = bindings;
      const keys = Object.keys(bindings).map((key) => [key, {}]);
      own['ExposedPorts'] = { ...(own['ExposedPorts'] as object), ...Object.fromEntries(keys) };
    },
  ),
  host(
    bool('publish-all', 'Publish all exposed ports to random ports', { short: 'P' }),
    'PublishAllPorts',
  ),
];

const limits: readonly CreateFlag[] = [
  host(
    integer('blkio-weight', 'Block IO (relative weight), between 10 and 1000, or 0 to disable'),
    'BlkioWeight',
  ),
  host(
    listOf('blkio-weight-device', 'Block IO weight (relative device weight)', parse.parseWeight),
    'BlkioWeightDevice',
  ),
  ...(['read', 'write'] as const).flatMap((word) => {
    const field = word === 'read' ? 'Read' : 'Write';
    return [
      host(
        listOf(
          `device-${word}-bps`,
          `Limit ${word} rate (bytes per second) on a device`,
          parse.parseRate,
        ),
        `BlkioDevice${field}Bps`,
      ),
      host(
        listOf(
          `device-${word}-iops`,
          `Limit ${word} rate (IO per second) on a device`,
          parse.parseRate,
        ),
        `BlkioDevice${field}IOps`,
      ),
    ];
  }),
  host(text('cgroup-parent', 'Optional parent cgroup for the container'), 'CgroupParent'),
  host(integer('cpu-period', 'Limit CPU CFS (Completely Fair Scheduler) period'), 'CpuPeriod'),
  host(integer('cpu-quota', 'Limit CPU CFS (Completely Fair Scheduler) quota'), 'CpuQuota'),
  host(integer('cpu-rt-period', 'Limit CPU real-time period in microseconds'), 'CpuRealtimePeriod'),
  host(
    integer('cpu-rt-runtime', 'Limit CPU real-time runtime in microseconds'),
    'CpuRealtimeRuntime',
  ),
  host(integer('cpu-shares', 'CPU shares (relative weight)', { short: 'c' }), 'CpuShares'),
  host(cpus('cpus', 'Number of CPUs'), 'NanoCpus'),
  host(text('cpuset-cpus', 'CPUs in which to allow execution (0-3, 0,1)'), 'CpusetCpus'),
  host(text('cpuset-mems', 'MEMs in which to allow execution (0-3, 0,1)'), 'CpusetMems'),
  host(bytes('memory', 'Memory limit', { short: 'm' }), 'Memory'),
  host(bytes('memory-reservation', 'Memory soft limit'), 'MemoryReservation'),
  host(
    parsed(
      'memory-swap',
      "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
      parse.parseSwap,
      { word: 'bytes' },
    ),
    'MemorySwap',
  ),
  host(
    integer('memory-swappiness', 'Tune container memory swappiness (0 to 100)'),
    'MemorySwappiness',
  ),
  host(integer('pids-limit', 'Tune container pids limit (set -1 for unlimited)'), 'PidsLimit'),
  host(bytes('shm-size', 'Size of /dev/shm'), 'ShmSize'),
  setting(listOf('ulimit', 'Ulimit options', ulimit, { word: 'ulimit' }), (draft, value) => {
    draft.host['Ulimits'] = value.map(({ name, soft, hard }) => ({
      Name: name,
      Soft: soft,
      Hard: hard,
    }));
  }),
];

const isolation: readonly CreateFlag[] = [
  host(list('cap-add', 'Add Linux capabilities'), 'CapAdd'),
  host(list('cap-drop', 'Drop Linux capabilities'), 'CapDrop'),
  host(text('cgroupns', 'Cgroup namespace to use (host|private)'), 'CgroupnsMode'),
  host(text('ipc', 'IPC mode to use'), 'IpcMode'),
  host(text('pid', 'PID namespace to use'), 'PidMode'),
  host(bool('privileged', 'Give extended privileges to this container'), 'Privileged'),
  host(listOf('security-opt', 'Security Options', parse.parseSecurity), 'SecurityOpt'),
  setting(list('sysctl', 'Sysctl options'), (draft, value) => {
    draft.host['Sysctls'] = pairsOf(value);
  }),
  host(text('userns', 'User namespace to use'), 'UsernsMode'),
  host(text('uts', 'UTS namespace to use'), 'UTSMode'),
];

const marks: readonly CreateFlag[] = [
  setting(list('annotation', 'Add an annotation to the container'), (draft, value) => {
    draft.host['Annotations'] = pairsOf(value);
  }),
  setting(text('log-driver', 'Logging driver for the container'), ({ host: hosts }, value) => {
    hosts['LogConfig'] = { ...(hosts['LogConfig'] as object), Type: value };
  }),
  setting(list('log-opt', 'Log driver options'), ({ host: hosts }, value) => {
    hosts['LogConfig'] = { ...(hosts['LogConfig'] as object), Config: pairsOf(value) };
  }),
];

const noHealth = bool('no-healthcheck', 'Disable any container-specified HEALTHCHECK');
const healthDurations = [
  ['health-interval', 'Interval', 'Time between running the check (ms|s|m|h)'],
  ['health-timeout', 'Timeout', 'Maximum time to allow one check to run (ms|s|m|h)'],
  ['health-start-period', 'StartPeriod', 'Start period before retries count (ms|s|m|h)'],
  ['health-start-interval', 'StartInterval', 'Time between checks in the start period (ms|s|m|h)'],
] as const;

function health<T>(field: string, encode: (given: T) => unknown) {
  return ({ config: own }: ContainerDraft, given: T) => {
    own['Healthcheck'] = { ...(own['Healthcheck'] as object), [field]: encode(given) };
  };
}

const checks: readonly CreateFlag[] = [
  setting(
    text('health-cmd', 'Command to run to check health'),
    health('Test', (line: string) => ['CMD-SHELL', line]),
  ),
  setting(
    integer('health-retries', 'Consecutive failures needed to report unhealthy'),
    health('Retries', (n: number) => n),
  ),
  ...healthDurations.map(([name, field, help]) =>
    setting(
      durationMs(name, help),
      health(field, (ms: number) => Math.round(ms * 1e6)),
    ),
  ),
  setting(noHealth, ({ config: own }, given) => {
    if (!given) return;
    if (own['Healthcheck'] !== undefined) {
      throw new Error('--no-healthcheck conflicts with --health-* options');
    }
    own['Healthcheck'] = { Test: ['NONE'] };
  }),
];

/** `env`: what bare names in --env take their values from. Files come before what is given. */
function words(env: Env): readonly CreateFlag[] {
  const add = (own: Record<string, unknown>, entries: readonly string[]) => {
    own['Env'] = [...((own['Env'] as string[] | undefined) ?? []), ...entries];
  };
  const label = (own: Record<string, unknown>, entries: readonly string[]) => {
    own['Labels'] = { ...(own['Labels'] as object), ...pairsOf(entries) };
  };
  return [
    setting(list('env-file', 'Read in a file of environment variables'), (draft, files) => {
      add(
        draft.config,
        files.flatMap((file) => readEnvFile(file, env)),
      );
    }),
    setting(list('env', 'Set environment variables', { short: 'e' }), (draft, entries) => {
      add(
        draft.config,
        entries.map((entry) => envEntry(entry, env)),
      );
    }),
    setting(list('label-file', 'Read in a line delimited file of labels'), (draft, files) => {
      label(
        draft.config,
        files.flatMap((file) => readEnvFile(file, {})),
      );
    }),
    setting(list('label', 'Set meta data on a container', { short: 'l' }), (draft, entries) => {
      label(draft.config, entries);
    }),
  ];
}

export function createFlags(env: Env): readonly CreateFlag[] {
  return [
    ...process,
    ...words(env),
    ...places,
    ...names,
    ...limits,
    ...isolation,
    ...marks,
    ...checks,
  ];
}
