/** What is told of a container: a snapshot, of a standalone one or of a task's. */
import type { ContainerDocument, HostDocument } from '../../types/index.ts';
import type { MountView } from '../volume/index.ts';
import type { ImageRootfs, PinnedMount } from '../runtime/runtime.ts';

export const containerStatuses = [
  'created',
  'running',
  'paused',
  'restarting',
  'removing',
  'exited',
  'dead',
] as const;
type ContainerStatus = (typeof containerStatuses)[number];

export interface HealthResult {
  readonly startMs: number;
  readonly endMs: number;
  readonly exitCode: number;
  readonly output: string;
}

export interface HealthView {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  /** The last five. */
  readonly log: readonly HealthResult[];
}

export interface ContainerState {
  readonly status: ContainerStatus;
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  /** 0: never. */
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly restartCount: number;
  /** By a person: decides what the next start of the daemon does. */
  readonly wasStopped: boolean;
  readonly health?: HealthView;
  /** While it runs: what the next daemon is to publish again. */
  readonly published?: KeptPorts;
  /** While it runs: the networks that it is on. */
  readonly connected?: readonly ConnectedNetwork[];
}

export interface KeptPorts {
  /** Where they lead: one for each family, without prefixes. */
  readonly addresses?: readonly string[];
  /** What earlier versions have kept instead; empty: none. */
  readonly address?: string;
  readonly ports: readonly BoundPort[];
}

/** A network that the container is on whenever it runs. */
export interface WantedNetwork {
  /** As it was named: `bridge`, the name of a network, or its id. */
  readonly network: string;
  /** Other names of the container there. */
  readonly aliases: readonly string[];
  /** Addresses that were asked for, without prefixes. */
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** Of its interface there. */
  readonly macAddress?: string;
  /** Further addresses of its interface, which nobody gives out: "169.254.7.7". */
  readonly linkLocalIps?: readonly string[];
  /** Of its interface there. */
  readonly driverOpts?: Readonly<Record<string, string>>;
  /** The default route leads by the network with the highest; absent: 0. */
  readonly gwPriority?: number;
  /** "db:data": what the container alone knows another by there. */
  readonly links?: readonly string[];
}

/** A network that the container is on now. */
export interface ConnectedNetwork {
  /** `bridge` for the gateway bridge. */
  readonly networkId: string;
  readonly name: string;
  readonly driver: string;
  readonly aliases: readonly string[];
  /** With prefixes, one for each family. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly macAddress: string;
  /** That which was asked for. */
  readonly chosenMac?: string;
  readonly driverOpts?: Readonly<Record<string, string>>;
  readonly gwPriority?: number;
  readonly linkLocal?: readonly string[];
  /** Names of others that the container alone knows them by, by these names. */
  readonly links?: Readonly<Record<string, string>>;
  /** What the managers know the attachment by, on a network of the swarm. */
  readonly taskId?: string;
}

/** Another container, as this one knows it on the network bridge. */
export interface ContainerLink {
  readonly alias: string;
  readonly containerId: string;
  /** As it was when the link was made: for one that is gone. */
  readonly name: string;
}

/** What stays as it was made, but for its name, its limits and its networks. */
export interface ContainerRecord {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly createdAtMs: number;
  /** The image's defaults are merged in. */
  readonly config: ContainerDocument;
  readonly host: HostDocument;
  readonly imageId: string;
  readonly rootfs: ImageRootfs;
  readonly argv: readonly string[];
  /** None where it shares another's, or the host's, or has none. */
  readonly networks: readonly WantedNetwork[];
  readonly links?: readonly ContainerLink[];
  /** Every volume has a name. Absent in the records of versions that had no volumes. */
  readonly mounts?: readonly PinnedMount[];
}

/** A port of the container, and where it is reached: nowhere where there is no host port. */
export interface BoundPort {
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIp?: string;
  readonly hostPort?: number;
}

export interface ContainerView {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
  /** Its name in the runtime. */
  readonly runtimeId: string;
  /** Its network namespace; absent where it does not run, or has none of its own. */
  readonly netnsPath?: string;
  /** Those that it is on. */
  readonly networks: readonly ConnectedNetwork[];
  readonly ports: readonly BoundPort[];
  readonly logPath: string;
  readonly files: Readonly<Record<string, string>>;
  readonly mounts: readonly MountView[];
  readonly execIds: readonly string[];
  /** "/db:/web/data": on the network bridge. */
  readonly links?: readonly string[];
  /** "web/data": what others' links call it. */
  readonly otherNames?: readonly string[];
  /** Of a task of the swarm. */
  readonly taskId?: string;
}

export const neverRun: ContainerState = {
  status: 'created',
  pid: 0,
  exitCode: 0,
  error: '',
  oomKilled: false,
  startedAtMs: 0,
  finishedAtMs: 0,
  restartCount: 0,
  wasStopped: false,
};

/** Its first process is there, or is about to be there again. */
export function isRunning({ status }: ContainerState): boolean {
  return status === 'running' || status === 'paused' || status === 'restarting';
}
