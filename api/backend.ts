/** What the HTTP API stands on. The composition root (daemon/) provides it. */
import type { Duplex } from 'node:stream';
import type { ControlApi } from '../manager/control/api.ts';
import type { History } from '../manager/history/index.ts';
import type { ObjectEvent } from '../manager/store/event.ts';
import type { Backup } from '../manager/store/backup-file.ts';
import type { ExternalStore } from '../manager/store/etcd/address.ts';
import type { StoreView } from '../manager/store/view.ts';
import type {
  CsiReply,
  CsiRequest,
  Finding,
  GenericResource,
  ImageEvent,
  NodeFindings,
  Service,
  SwarmSpec,
  Task,
} from '../types/index.ts';
import type { ContainerManager } from '../worker/container/manager.ts';
import type { Builder } from '../worker/build/index.ts';
import type { Images } from '../worker/image/images.ts';
import type { LocalNetworks } from '../worker/network/local/index.ts';
import type { NetworkTables } from '../worker/network/tables.ts';
import type { BlockSupport } from '../worker/runtime/controls.ts';
import type { LogLine, LogQuery } from '../worker/runtime/runtime.ts';
import type { Volumes } from '../worker/volume/index.ts';

export interface Backend {
  readonly system: SystemBackend;
  readonly swarm: SwarmBackend;
  readonly images: Images;
  /** Absent where nothing can be built. */
  readonly builder?: Pick<Builder, 'build' | 'prune' | 'usage' | 'sessions' | 'jobs'>;
  /** The containers of this node. */
  readonly containers: ContainerManager;
  /** The volumes of this node. */
  readonly volumes: Volumes;
  /** The CSI drivers of this node; absent where it knows of none. */
  readonly csi?: {
    /** Throws what the driver says, or `not-found` for one that is not here. */
    call(request: CsiRequest, options: { signal: AbortSignal }): Promise<CsiReply>;
  };
  /** Absent where the node has no networks but those that every node has. */
  readonly networks?: NodeNetworks;
  /** Absent where nobody can examine the host. */
  readonly doctor?: HostDoctor;
  /** Throws SwarmError `unavailable` with Docker's sentence when this node is not a manager. */
  manager(): ManagerBackend;
}

export interface NodeNetworks {
  /** The network `bridge`: where containers are that name no other. */
  readonly bridge: { readonly subnet: string; readonly gateway: string };
  /** Networks of the swarm that this node takes part in, as it was told. */
  readonly tables: Pick<NetworkTables, 'networks' | 'endpointsOf'>;
  /** Networks of this node alone, which no manager knows. */
  readonly local: Pick<LocalNetworks, 'create' | 'list' | 'remove' | 'users'>;
}

interface HostDoctor {
  /** What is wrong with this host, and what is well; worst first. Takes some seconds. */
  examine(): Promise<readonly Finding[]>;
}

export interface SystemBackend {
  readonly version: string;
  readonly dataRoot: string;
  /** The facts about this host that `docker info` shows. */
  info(): Promise<HostInfo>;
  /** What happens to local images, told as it happens. */
  onImageEvent(listener: (event: ImageEvent) => void): Disposable;
  /** The name of a container on this node that needs the image, if there is one. */
  imageUser(imageId: string): string | undefined;
}

export interface HostInfo {
  readonly engineId: string;
  readonly hostname: string;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly containers: { readonly running: number; readonly stopped: number };
  readonly images: number;
  readonly containerdVersion: string;
  readonly ociRuntime: string;
  readonly cgroupVersion: 1 | 2;
  readonly blockSupport: BlockSupport;
  readonly snapshotter: string;
  readonly labels: readonly string[];
  readonly volumeDrivers: readonly string[];
  readonly logDrivers: readonly string[];
  readonly genericResources: readonly GenericResource[];
  /** Where vendors describe their devices. */
  readonly cdiFolders: readonly string[];
  /** What they describe: "vendor.com/gpu=0". */
  readonly cdiDevices: readonly string[];
  readonly insecureRegistries: readonly string[];
}

export interface InitOptions {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly dataPathPort: number;
  readonly defaultAddressPools: readonly string[];
  readonly subnetSize: number;
  readonly forceNewCluster: boolean;
  readonly availability: 'active' | 'pause' | 'drain';
  readonly spec: SwarmSpec;
  /** Where the managers' store is to be, in place of logs of their own. */
  readonly store?: ExternalStore;
}

export interface JoinOptions {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly remoteAddrs: readonly string[];
  readonly joinToken: string;
  readonly availability: 'active' | 'pause' | 'drain';
}

export interface RestoreOptions {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly availability: 'active' | 'pause' | 'drain';
  readonly backup: Backup;
  readonly store?: ExternalStore;
}

/** Whether and how this daemon is in a swarm. */
export interface SwarmBackend {
  /** Returns the node's id. */
  init(options: InitOptions): Promise<string>;
  /** Like `init`, with a swarm that begins as the backup has it. Returns the node's id. */
  restore(options: RestoreOptions): Promise<string>;
  join(options: JoinOptions): Promise<void>;
  leave(options: { force: boolean }): Promise<void>;
  /** Throws `unauthenticated` for a wrong key, `already-exists` where nothing is locked. */
  unlock(options: { unlockKey: string }): Promise<void>;
  status(): SwarmStatus;
}

export interface SwarmStatus {
  readonly state: 'inactive' | 'pending' | 'active' | 'error' | 'locked';
  readonly error: string;
  readonly nodeId: string;
  readonly nodeAddr: string;
  readonly isManager: boolean;
  readonly remoteManagers: readonly { readonly nodeId: string; readonly addr: string }[];
}

export type { ObjectEvent };

export interface ManagerBackend {
  readonly control: ControlApi;
  /** Hands the lead to this manager; resolves once it has it. */
  lead(nodeId: string): Promise<void>;
  /** The tables, at least as new as every change acknowledged before the call. */
  read(): Promise<StoreView>;
  /** What this manager remembers of the past. */
  history(): History;
  /**
   * Every change from now on, in order, without gaps. A reader that falls behind by more than a
   * bounded number of events gets a SwarmError `resource-exhausted`, and must list again.
   */
  watch(options: { signal: AbortSignal }): AsyncIterable<ObjectEvent>;
  /** Everything that was acknowledged before the call, as one file, made as it is asked for. */
  backup(options: { passphrase?: string }): Promise<{
    readonly encrypted: boolean;
    readonly parts: AsyncIterable<Uint8Array>;
  }>;
  /**
   * A connection to what the node serves to managers, over which HTTP is spoken. Throws
   * `unavailable` where the node cannot be reached, `deadline-exceeded` where it does not answer.
   * It is the caller's to destroy.
   */
  reach(nodeId: string, options: { signal?: AbortSignal }): Promise<Duplex>;
  /** What is wrong with each node, and what is well. Takes some seconds. */
  examine(): Promise<readonly NodeFindings[]>;
  /**
   * Lines of the tasks from all nodes, merged as they come. A node that is down yields a notice.
   */
  logs(
    target: { service: Service } | { task: Task },
    query: LogQuery,
    options: { signal: AbortSignal },
  ): AsyncIterable<{ readonly task: Task; readonly line: LogLine } | { readonly notice: string }>;
}
