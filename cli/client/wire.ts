/**
 * The Docker Engine API's JSON as far as the CLI reads it. Go writes an empty list as null and
 * leaves out what is empty, so nearly everything may be absent.
 */
export interface WireMeta {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
}

export interface WirePort {
  readonly Protocol?: string;
  readonly TargetPort?: number;
  readonly PublishedPort?: number;
  readonly PublishMode?: string;
}

interface WireSpec {
  readonly Name?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

export interface WireTaskSpec {
  readonly ContainerSpec?: { readonly Image?: string; readonly TTY?: boolean };
  readonly Networks?: readonly { readonly Target: string }[] | null;
  readonly Placement?: {
    readonly MaxReplicas?: number;
    readonly Platforms?: readonly { readonly Architecture?: string; readonly OS?: string }[] | null;
  };
  readonly RestartPolicy?: {
    readonly Condition?: string;
    readonly MaxAttempts?: number;
    readonly Delay?: number;
  };
}

interface WireServiceSpec extends WireSpec {
  readonly Mode?: {
    readonly Replicated?: { readonly Replicas?: number };
    readonly Global?: object;
    readonly ReplicatedJob?: {
      readonly MaxConcurrent?: number;
      readonly TotalCompletions?: number;
    };
    readonly GlobalJob?: object;
  };
  readonly TaskTemplate: WireTaskSpec;
  readonly UpdateConfig?: { readonly Monitor?: number };
}

interface WireUpdateStatus {
  readonly State?: string;
  readonly Message?: string;
  readonly StartedAt?: string;
  readonly CompletedAt?: string;
}

export interface WireService extends WireMeta {
  readonly Spec: WireServiceSpec;
  /** There while tasks are moved (`moving`), or where that was given up (`stopped`). */
  readonly Rebalance?: { readonly State: string; readonly Message: string };
  /** Of a service that has been autoscaled, or is kept from it. */
  readonly Autoscale?: {
    readonly State: string;
    readonly Message?: string;
    readonly LastScaled?: {
      readonly At: string;
      readonly From: number;
      readonly To: number;
      readonly Reason: string;
    };
  };
  readonly PreviousSpec?: unknown;
  readonly Endpoint?: { readonly Ports?: readonly WirePort[] | null };
  readonly UpdateStatus?: WireUpdateStatus;
  readonly ServiceStatus?: {
    readonly RunningTasks?: number;
    readonly DesiredTasks?: number;
    readonly CompletedTasks?: number;
  };
  readonly JobStatus?: {
    readonly JobIteration?: { readonly Index?: number };
    readonly LastExecution?: string;
  };
  /** Of a cron service. */
  readonly CronStatus?: {
    readonly LastTick?: string;
    readonly NextTick?: string;
    readonly LastSkipped?: { readonly Tick: string; readonly Reason: string };
    readonly RunAsked?: boolean;
  };
}

export interface WireTask extends WireMeta {
  readonly ServiceID: string;
  readonly Slot?: number;
  readonly NodeID?: string;
  readonly Name?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly DesiredState: string;
  readonly Spec: WireTaskSpec;
  readonly JobIteration?: { readonly Index?: number };
  readonly Status: {
    readonly Timestamp: string;
    readonly State: string;
    readonly Message?: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ExitCode?: number };
    readonly PortStatus?: { readonly Ports?: readonly WirePort[] | null };
  };
}

export interface WireTlsInfo {
  readonly TrustRoot?: string;
  readonly CertIssuerSubject?: string;
  readonly CertIssuerPublicKey?: string;
}

export interface WireNode extends WireMeta {
  readonly Spec: WireSpec & { readonly Role: string; readonly Availability: string };
  readonly Description: {
    readonly Hostname?: string;
    readonly Platform?: { readonly OS?: string; readonly Architecture?: string };
    readonly Resources?: { readonly NanoCPUs?: number; readonly MemoryBytes?: number };
    readonly Engine?: {
      readonly EngineVersion?: string;
      readonly Labels?: Readonly<Record<string, string>> | null;
      readonly Plugins?: readonly { readonly Type: string; readonly Name: string }[] | null;
    };
    readonly TLSInfo?: WireTlsInfo;
  };
  readonly Status: { readonly State: string; readonly Message?: string; readonly Addr?: string };
  readonly ManagerStatus?: {
    readonly Leader?: boolean;
    readonly Reachability?: string;
    readonly Addr?: string;
  };
}

export interface WireSwarm extends WireMeta {
  readonly Spec: Readonly<Record<string, unknown>>;
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
  readonly TLSInfo?: WireTlsInfo;
  readonly RootRotationInProgress?: boolean;
}

export interface WireInfo {
  readonly Name: string;
  readonly Swarm?: {
    readonly NodeID?: string;
    readonly NodeAddr?: string;
    readonly LocalNodeState?: string;
    readonly ControlAvailable?: boolean;
    readonly Error?: string;
    readonly RemoteManagers?: readonly { readonly NodeID: string; readonly Addr: string }[] | null;
    readonly Nodes?: number;
    readonly Managers?: number;
    readonly Cluster?: {
      readonly ID?: string;
      readonly Spec?: Readonly<Record<string, unknown>>;
      readonly TLSInfo?: WireTlsInfo;
    };
  };
}

export interface WireEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: {
    readonly ID: string;
    readonly Attributes?: Readonly<Record<string, string>> | null;
  };
  readonly time?: number;
  readonly timeNano?: number;
}

export interface WireImage {
  readonly Id: string;
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize?: number;
  readonly Containers?: number;
}

/** Orders what was made later first. Times may leave out their fractions: they are no texts. */
export function newestFirst(
  a: Pick<WireMeta, 'CreatedAt'>,
  b: Pick<WireMeta, 'CreatedAt'>,
): number {
  return Date.parse(b.CreatedAt) - Date.parse(a.CreatedAt) || 0;
}

/** A line of a stream that tells the progress of a pull, a load or an import. */
export interface WireProgress {
  readonly status?: string;
  readonly stream?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string; readonly code?: number };
  readonly aux?: { readonly ID?: string };
}
