/**
 * The objects that managers replicate. They are plain immutable documents: a change replaces the
 * object. Times are milliseconds since the epoch, always passed in by whoever proposes a change.
 */
import type { AutoscaleStatus } from './autoscale.ts';
import type { ClusterVolume, CsiInfo, VolumeAttachment } from './cluster-volume.ts';
import type { FileObject } from './file-object.ts';
import type { DataPath, Network, TaskNetwork, VirtualIp } from './network.ts';
import type { RegistryLogin } from './registry.ts';
import type { NodeRole, NodeSpec, PortConfig, ServiceSpec, SwarmSpec } from './specs.ts';
import type { DesiredState, TaskState } from './states.ts';
import type { GenericResource, Platform, TaskSpec } from './task-spec.ts';

export interface Meta {
  /** Index of the log entry that last changed the object: Docker's Version.Index. */
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface UpdateStatus {
  readonly state:
    | 'updating'
    | 'paused'
    | 'completed'
    | 'rollback_started'
    | 'rollback_paused'
    | 'rollback_completed';
  readonly startedAtMs: number;
  readonly completedAtMs?: number;
  readonly message: string;
}

/** How far a job has come, or a cron service with its runs, each of which is an iteration. */
interface JobStatus {
  /** Raised by each change of a job's spec, or by each run of a cron service, whose first is 1. */
  readonly iteration: number;
  /** When the iteration was begun. */
  readonly lastExecutionMs: number;
}

/** What a cron service's schedule has led to so far. */
export interface CronStatus {
  /** All ticks up to this time are dealt with: begun, or passed over. */
  readonly settledMs: number;
  /** The tick that was begun last. */
  readonly lastTickMs?: number;
  /** The run of the present iteration: how many tasks its service asked for when it began. */
  readonly run?: { readonly maxConcurrent: number; readonly totalCompletions: number };
  /** The last tick that no run was begun for, and why. */
  readonly skipped?: { readonly tickMs: number; readonly reason: string };
  /** A run was asked for by hand, and has not begun yet. */
  readonly isRunAsked?: boolean;
}

interface RebalanceStatus {
  /** `stopped`: a task failed where it was moved to; what was moved before stays. */
  readonly state: 'moving' | 'stopped';
  readonly startedAtMs: number;
  readonly message: string;
}

export interface Service {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: ServiceSpec;
  /** Raised by each change of the spec; a task carries the number it was made from. */
  readonly specVersion: number;
  readonly previousSpec?: ServiceSpec;
  readonly previousSpecVersion?: number;
  readonly updateStatus?: UpdateStatus;
  /** Of jobs and cron services alone. */
  readonly jobStatus?: JobStatus;
  readonly cronStatus?: CronStatus;
  /** Of services whose number of replicas follows what is measured. */
  readonly autoscale?: AutoscaleStatus;
  /** Its tasks are being spread anew; gone once they are spread. */
  readonly rebalance?: RebalanceStatus;
  /** Ports as published: what the spec left open is filled in by the allocator. */
  readonly ports?: readonly PortConfig[];
  /** One for each network and address family; empty or absent for `dnsrr`. */
  readonly virtualIps?: readonly VirtualIp[];
  /** As in X-Registry-Auth (base64url JSON); sent to nodes with the service's tasks, never shown. */
  readonly registryAuth?: string;
  readonly previousRegistryAuth?: string;
}

interface ContainerStatus {
  readonly containerId: string;
  readonly pid: number;
  /** Present once the container has ended. */
  readonly exitCode?: number;
}

export interface TaskStatus {
  readonly state: TaskState;
  readonly atMs: number;
  /** What is going on, in a few words. */
  readonly message: string;
  /** Why it failed, was rejected, or cannot be placed. */
  readonly err?: string;
  readonly container?: ContainerStatus;
  /** Host-mode ports as bound on the node. */
  readonly ports?: readonly PortConfig[];
  /** On networks of which the nodes give the addresses. */
  readonly networks?: readonly Pick<TaskNetwork, 'networkId' | 'addresses'>[];
}

export interface Task {
  readonly id: string;
  readonly meta: Meta;
  readonly serviceId: string;
  /** From 1 for replicated services, from 0 for replicated jobs, 0 for all global ones. */
  readonly slot: number;
  /** Of a job's task: the iteration that it belongs to. */
  readonly jobIteration?: number;
  /** Empty until assigned. A task never moves to another node. */
  readonly nodeId: string;
  /** The only node that the task may be assigned to; set for global services and jobs. */
  readonly forNodeId?: string;
  /** Shared with all tasks of the same service and spec version: never copied, never changed. */
  readonly spec: TaskSpec;
  readonly specVersion: number;
  /** `web.3.<id>`; the service's name is kept so that it outlives the service. */
  readonly name: string;
  readonly serviceName: string;
  readonly desiredState: DesiredState;
  readonly status: TaskStatus;
  /** When the managers first learnt that it runs: the time of that log entry, set by the store. */
  readonly runningAtMs?: number;
  /** A replacement held at READY is let run at this time, once its predecessor has stopped. */
  readonly startAtMs?: number;
  /** The host-mode and ingress ports that the service's endpoint asks of this task. */
  readonly ports?: readonly PortConfig[];
  readonly genericResources?: readonly GenericResource[];
  /** Swarm networks that it is on, in the order of its interfaces; the routing mesh's comes last. */
  readonly networks?: readonly TaskNetwork[];
  /** The cluster volumes that its mounts stand for, from its assignment on. */
  readonly volumes?: readonly VolumeAttachment[];
  /** Of a task of no service: the container of its node that has its place on the network. */
  readonly attachedContainerId?: string;
}

interface NodeResources {
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly genericResources?: readonly GenericResource[];
}

/** Whom a node trusts, and who has issued its certificate. */
export interface TlsInfo {
  /** PEM. */
  readonly trustRoot: string;
  /** DER, in base64. */
  readonly issuerSubject: string;
  readonly issuerPublicKey: string;
}

/** What a worker says of itself. */
export interface NodeDescription {
  readonly hostname: string;
  readonly platform: Required<Platform>;
  readonly resources: NodeResources;
  readonly engine: {
    readonly version: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly plugins: readonly { readonly type: string; readonly name: string }[];
  };
  /** Whom it trusts, and who has issued its certificate. */
  readonly tls?: TlsInfo;
  readonly dataPath?: DataPath;
  /** A manager that has lost its log, and goes on as a worker. */
  readonly standsIn?: boolean;
  /** Names of the volumes whose content is on this node's own disk: not of anonymous ones. */
  readonly volumes?: readonly string[];
  /** The drivers of cluster volumes that it has. */
  readonly csi?: readonly CsiInfo[];
}

export interface NodeStatus {
  /** `unknown`: not heard of since this manager leads; `disconnected`: suspect, within the grace. */
  readonly state: 'unknown' | 'down' | 'ready' | 'disconnected';
  readonly message: string;
  /** The address that managers see the node at. */
  readonly addr: string;
  readonly atMs: number;
}

export interface Node {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: NodeSpec;
  /** The version that the spec was last changed on: who has read a later one knows the spec. */
  readonly specBase?: number;
  /** The role its certificate carries; `spec.role` is the one wished for. */
  readonly role: NodeRole;
  readonly description?: NodeDescription;
  readonly status: NodeStatus;
  /** Only for managers: where their cluster port is. */
  readonly manager?: { readonly addr: string; readonly leader: boolean };
  /** Its own addresses on the routing mesh's network, with prefix. */
  readonly ingressAddresses?: readonly string[];
}

/** What managers encrypt their keys on disk with. */
export interface ManagerLock {
  readonly version: number;
  /** `SWMKEY-1-…`; empty where autolock is off. */
  readonly unlockKey: string;
}

/** A root that takes the present one's place once it has issued every node's certificate. */
export interface RootRotation {
  readonly certPem: string;
  readonly keyPem: string;
  /** Its key, signed by the present root: for those who know the present root only. */
  readonly crossSignedPem: string;
  /** The same of roots that were to take over before, and were given up: nodes may be of them. */
  readonly abandonedPems?: readonly string[];
}

export interface Cluster {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: SwarmSpec;
  readonly rootCa: {
    readonly certPem: string;
    readonly keyPem: string;
    readonly joinTokens: { readonly worker: string; readonly manager: string };
    readonly rotation?: RootRotation;
  };
  /** Present since autolock was first asked for; the number rises with each change. */
  readonly managerLock?: ManagerLock;
  /** How often nodes were asked to replace their keys of encrypted networks at once. */
  readonly networkKeyRotation?: number;
  readonly dataPathPort: number;
  readonly defaultAddressPools: readonly string[];
  readonly subnetSize: number;
  /** Ids of removed nodes whose certificates have not yet expired: id → expiry. */
  readonly removedNodes: Readonly<Record<string, number>>;
  /** By registry. Tasks pull with them besides what their services were given. */
  readonly registryLogins?: readonly RegistryLogin[];
}

/** A task as a worker gets it: with what the worker needs of the objects around it. */
export interface AssignedTask extends Task {
  readonly serviceLabels: Readonly<Record<string, string>>;
  readonly registryAuth?: string;
  /** The swarm's own for the image's registry, as of the assignment; in the same form. */
  readonly registryLogin?: string;
  /** The swarm's, for tasks whose services name none, as of the assignment. */
  readonly defaultLogDriver?: NonNullable<TaskSpec['logDriver']>;
}

/** Every table of the store and the type of its objects. */
export interface Tables {
  readonly cluster: Cluster;
  readonly node: Node;
  readonly service: Service;
  readonly task: Task;
  readonly network: Network;
  readonly secret: FileObject;
  readonly config: FileObject;
  readonly volume: ClusterVolume;
}
export type TableName = keyof Tables;
