/** The text of `info`, laid out as Docker's. */
import type { WireInfo } from '../client/wire.ts';
import { goDuration, humanBinarySize } from '../format/units.ts';

export interface WireFullInfo extends WireInfo {
  readonly ID?: string;
  readonly Containers?: number;
  readonly ContainersRunning?: number;
  readonly ContainersPaused?: number;
  readonly ContainersStopped?: number;
  readonly Images?: number;
  readonly ServerVersion?: string;
  readonly Driver?: string;
  readonly LoggingDriver?: string;
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
  readonly DefaultRuntime?: string;
  readonly Runtimes?: Readonly<Record<string, unknown>> | null;
  readonly ContainerdCommit?: { readonly ID?: string };
  readonly RuncCommit?: { readonly ID?: string };
  readonly KernelVersion?: string;
  readonly OperatingSystem?: string;
  readonly OSType?: string;
  readonly Architecture?: string;
  readonly NCPU?: number;
  readonly MemTotal?: number;
  readonly DockerRootDir?: string;
  readonly Labels?: readonly string[] | null;
  readonly Warnings?: readonly string[] | null;
  readonly RegistryConfig?: {
    readonly InsecureRegistryCIDRs?: readonly string[] | null;
    readonly IndexConfigs?: Readonly<Record<string, { readonly Secure?: boolean }>> | null;
  };
}

type Entry = readonly [string, string | number | undefined];

export function infoLines(info: WireFullInfo): string[] {
  return [
    'Server:',
    ...lines(1, [
      ['Containers', info.Containers],
      [' Running', info.ContainersRunning],
      [' Paused', info.ContainersPaused],
      [' Stopped', info.ContainersStopped],
      ['Images', info.Images],
      ['Server Version', info.ServerVersion],
      ['Storage Driver', info.Driver],
      ['Logging Driver', info.LoggingDriver],
      ['Cgroup Driver', info.CgroupDriver],
      ['Cgroup Version', info.CgroupVersion],
    ]),
    ...swarmLines(info),
    ...lines(1, [
      [
        'Runtimes',
        Object.keys(info.Runtimes ?? {})
          .sort()
          .join(' ') || undefined,
      ],
      ['Default Runtime', info.DefaultRuntime],
      ['containerd version', info.ContainerdCommit?.ID || undefined],
      ['runc version', info.RuncCommit?.ID || undefined],
      ['Kernel Version', info.KernelVersion],
      ['Operating System', info.OperatingSystem],
      ['OSType', info.OSType],
      ['Architecture', info.Architecture],
      ['CPUs', info.NCPU],
      ['Total Memory', info.MemTotal === undefined ? undefined : humanBinarySize(info.MemTotal)],
      ['Name', info.Name],
      ['ID', info.ID],
      ['Docker Root Dir', info.DockerRootDir],
    ]),
    ...listed('Labels', info.Labels ?? []),
    ...listed('Insecure Registries', insecureRegistries(info)),
  ];
}

function insecureRegistries({ RegistryConfig: config }: WireFullInfo): string[] {
  const named = Object.entries(config?.IndexConfigs ?? {})
    .filter(([, { Secure: secure }]) => secure === false)
    .map(([name]) => name);
  return [...named, ...(config?.InsecureRegistryCIDRs ?? [])];
}

function swarmLines({ Swarm: swarm }: WireFullInfo): string[] {
  if (swarm === undefined) return [];
  const state = swarm.LocalNodeState ?? 'inactive';
  const head = lines(1, [
    ['Swarm', state],
    [' NodeID', swarm.NodeID || undefined],
    [' Error', swarm.Error || undefined],
  ]);
  if (state === 'inactive' || state === 'locked') return head;
  const managers = (swarm.RemoteManagers ?? []).map(({ Addr }) => Addr).sort();
  const cluster = swarm.Cluster === undefined ? [] : clusterLines(swarm);
  return [
    ...head,
    ...lines(1, [[' Is Manager', String(swarm.ControlAvailable ?? false)]]),
    ...cluster,
    ...lines(1, [[' Node Address', swarm.NodeAddr]]),
    ...(managers.length > 0
      ? ['  Manager Addresses:', ...managers.map((addr) => `   ${addr}`)]
      : []),
  ];
}

interface ClusterSpec {
  readonly Orchestration?: { readonly TaskHistoryRetentionLimit?: number };
  readonly Raft?: {
    readonly SnapshotInterval?: number;
    readonly KeepOldSnapshots?: number;
    readonly HeartbeatTick?: number;
    readonly ElectionTick?: number;
  };
  readonly Dispatcher?: { readonly HeartbeatPeriod?: number };
  readonly CAConfig?: { readonly NodeCertExpiry?: number; readonly ForceRotate?: number };
  readonly EncryptionConfig?: { readonly AutoLockManagers?: boolean };
}

function clusterLines(swarm: NonNullable<WireFullInfo['Swarm']>): string[] {
  const spec = (swarm.Cluster?.Spec ?? {}) as ClusterSpec;
  const period = (nanoseconds: number | undefined) =>
    nanoseconds === undefined ? undefined : goDuration(nanoseconds / 1e6);
  return lines(2, [
    ['ClusterID', swarm.Cluster?.ID],
    ['Managers', swarm.Managers],
    ['Nodes', swarm.Nodes],
    ['Orchestration', ''],
    [' Task History Retention Limit', spec.Orchestration?.TaskHistoryRetentionLimit],
    ['Raft', ''],
    [' Snapshot Interval', spec.Raft?.SnapshotInterval],
    [' Number of Old Snapshots to Retain', spec.Raft?.KeepOldSnapshots],
    [' Heartbeat Tick', spec.Raft?.HeartbeatTick],
    [' Election Tick', spec.Raft?.ElectionTick],
    ['Dispatcher', ''],
    [' Heartbeat Period', period(spec.Dispatcher?.HeartbeatPeriod)],
    ['CA Configuration', ''],
    [' Expiry Duration', period(spec.CAConfig?.NodeCertExpiry)],
    [' Force Rotate', spec.CAConfig?.ForceRotate],
    ['Autolock Managers', String(spec.EncryptionConfig?.AutoLockManagers ?? false)],
  ]);
}

/** Entries without a value are left out; one with an empty text is a heading. */
function lines(depth: number, entries: readonly Entry[]): string[] {
  const indent = ' '.repeat(depth);
  return entries
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${indent}${key}:${value === '' ? '' : ` ${value}`}`);
}

function listed(title: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [` ${title}:`, ...values.map((value) => `  ${value}`)];
}
