/** Runs containers: the port that the task manager drives. Adapters: containerd, and a fake. */
import type { DeviceMapping, LogDriver, Mount, Resources } from '../../types/index.ts';
import type { BlockIo, BlockSupport, ContainerControls, CpuLists, CpuTuning } from './controls.ts';
import type { ContainerIo } from './io.ts';
import type { Layers } from './layers.ts';
import type { RemoteLogConfig } from './logs/remote/config.ts';
import type { SeccompFile } from './oci/seccomp-file.ts';

/** Everything that a container needs, resolved: nothing here is looked up again later. */
export interface ContainerConfig {
  /** Also the container's id in containerd. For tasks: `<service>.<slot>.<task id>`, cut to 76. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: ImageRootfs;
  /** The process: image defaults and spec merged. Never empty. */
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly workdir: string;
  /** "user", "uid", "user:group" …; resolved against the image's /etc/passwd. */
  readonly user: string;
  readonly groups: readonly string[];
  readonly hostname: string;
  readonly tty: boolean;
  readonly openStdin: boolean;
  readonly readOnlyRootfs: boolean;
  readonly init: boolean;
  readonly mounts: readonly PinnedMount[];
  /** Files made by the worker and bound into the container: /etc/hosts and the like. */
  readonly files: readonly {
    readonly target: string;
    readonly source: string;
    /** The container may write to it otherwise, unless its root is read-only. */
    readonly readOnly?: boolean;
  }[];
  readonly resources: Resources;
  readonly oomScoreAdj: number;
  readonly capabilityAdd: readonly string[];
  readonly capabilityDrop: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly ulimits: readonly {
    readonly name: string;
    readonly soft: number;
    readonly hard: number;
  }[];
  readonly noNewPrivileges: boolean;
  readonly seccompUnconfined: boolean;
  /** A namespace made by the network driver, or the host's. */
  readonly network: { readonly kind: 'path'; readonly path: string } | { readonly kind: 'host' };
  readonly stopSignal: string;
  /** Where its output goes; rotated. */
  readonly log: LogConfig;
  /** The rest is asked for by standalone containers, and by tasks that were given devices. */
  readonly more?: StandaloneConfig;
}

/** A mount of an image stays with what the image's name meant when the container was made. */
export interface PinnedMount extends Mount {
  /** Absent where no image is mounted. */
  readonly pinned?: { readonly imageId: string; readonly rootfs: ImageRootfs };
}

/** What a container may have that tasks have not. */
export interface StandaloneConfig {
  /** The writable layer, which outlives the container: one of `layers`. Absent: one of its own. */
  readonly layer?: string;
  /** Where the log is kept, also beyond the container's life. */
  readonly logPath?: string;
  /** Clients may attach to its streams, whether they are logged or not. */
  readonly attachable?: boolean;
  readonly domainname?: string;
  readonly privileged?: boolean;
  /** In the place of Docker's own profile. */
  readonly seccomp?: SeccompFile;
  readonly devices?: readonly DeviceMapping[];
  /** Rules of the devices cgroup: "c 42:* rmw". */
  readonly deviceRules?: readonly string[];
  readonly shmBytes?: number;
  /** In the place of new namespaces: "host", or the path of another. */
  readonly namespaces?: Readonly<Partial<Record<'pid' | 'ipc' | 'uts' | 'cgroup', string>>>;
  /** Absent: Docker's. */
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly cpu?: CpuTuning;
  readonly memorySwapBytes?: number;
  readonly oomKillDisable?: boolean;
  readonly blockIo?: BlockIo;
  /** Where its cgroup is, in the place of the daemon's own. */
  readonly cgroupParent?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** By the OCI runtime's names for when they are called. */
  readonly hooks?: Readonly<Record<string, readonly OciHook[]>>;
  /** Of the terminal, when it starts. */
  readonly consoleSize?: { readonly width: number; readonly height: number };
}

/** A program of the host that the OCI runtime calls at a point of the container's life. */
export interface OciHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export interface LogConfig {
  readonly driver: LogDriver;
  /** Where it is sent, for a driver that sends it elsewhere. */
  readonly remote?: RemoteLogConfig;
  /** Nothing is kept here to be read. */
  readonly isUnkept?: boolean;
  /** Kept with each line, for readers who want details. */
  readonly attributes?: Readonly<Record<string, string>>;
  /**
   * The container never waits for its log: lines wait in so much memory, and are lost beyond it.
   */
  readonly ringBytes?: number;
  readonly maxSizeBytes: number;
  readonly maxFiles: number;
}

/** An unpacked image, as the snapshotter knows it. */
export interface ImageRootfs {
  readonly name: string;
  /** Chain id of the topmost layer: the parent of the container's writable snapshot. */
  readonly chainId: string;
}

export interface ContainerExit {
  readonly id: string;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

export interface ContainerInfo {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'created' | 'running' | 'paused' | 'exited';
  readonly pid: number;
  readonly exit?: ContainerExit;
}

export interface LogLine {
  /** Nanoseconds since the epoch. */
  readonly timeNs: bigint;
  readonly stream: 'stdout' | 'stderr';
  /** With its line end, if it had one. */
  readonly data: Uint8Array;
  /** What the log's options have it say of the container. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface LogQuery {
  readonly follow: boolean;
  /** Lines from the end; absent: all. */
  readonly tail?: number;
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface Runtime extends AsyncDisposable {
  /** Makes the container and its init process, held before exec. Nothing is left when it fails. */
  create(config: ContainerConfig, options?: { signal?: AbortSignal }): Promise<{ pid: number }>;
  start(id: string, options?: { signal?: AbortSignal }): Promise<void>;
  /** Sends a signal to the container's first process; one that has ended is not an error. */
  kill(id: string, signal: string): Promise<void>;
  /** Stop signal, grace, SIGKILL; resolves when the process has ended. */
  stop(id: string, options: { signalName: string; graceMs: number }): Promise<ContainerExit>;
  /** Removes container, writable layer and logs. One that does not exist is not an error. */
  remove(id: string): Promise<void>;
  /** All containers of this daemon, also those that it found running when it started. */
  list(): Promise<readonly ContainerInfo[]>;
  inspect(id: string): Promise<ContainerInfo | undefined>;
  /**
   * Called for every exit, also for one that happened while the daemon was away (after a
   * restart).
   */
  onExit(listener: (exit: ContainerExit) => void): Disposable;
  /** Runs a command inside, for health checks; output is cut at 4 KiB. */
  exec(
    id: string,
    command: { argv: readonly string[]; timeoutMs: number },
  ): Promise<{ exitCode: number; output: string; timedOut: boolean }>;
  logs(id: string, query: LogQuery, options?: { signal?: AbortSignal }): AsyncIterable<LogLine>;
  info(): RuntimeInfo;
  /** Streams to and from processes. */
  readonly io: ContainerIo;
  readonly controls: ContainerControls;
  /** Writable layers that outlive the containers on them. */
  readonly layers: Layers;
}

export interface RuntimeInfo {
  readonly containerdVersion: string;
  readonly ociRuntime: 'crun' | 'runc';
  readonly ociRuntimeVersion: string;
  readonly cgroupVersion: 1 | 2;
  readonly blockSupport: BlockSupport;
  readonly cpuLists: CpuLists;
  readonly snapshotter: string;
}
