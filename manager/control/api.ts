/**
 * Commands on the cluster: the only way that specs change. Arguments and results are JSON
 * documents,
 * so that a follower can forward a call to the leader (proto/control.proto) as it is.
 */
import type {
  ClusterVolumeSpec,
  FileKind,
  FileSpec,
  NetworkSpec,
  NodeSpec,
  ServiceSpec,
  SwarmSpec,
  VolumeSpec,
} from '../../types/index.ts';
import type { RestoreBatch, RestoreCounts } from './restore.ts';

/** What has become of a secret or a config whose content was changed. */
export interface RevisedFile {
  /** Of the object that the name stands for now. */
  readonly id: string;
  readonly revision: number;
  /** Those that are being updated. */
  readonly services: readonly { readonly id: string; readonly name: string }[];
}

/** Whose command it is, for the history; absent where nobody knows. */
export interface Asked {
  readonly user?: string;
}

export interface ControlApi {
  /**
   * Throws `already-exists` for a taken name or published port, `invalid-argument` for a bad
   * spec.
   */
  createService(
    args: Asked & {
      spec: ServiceSpec;
      /** As in X-Registry-Auth: base64url JSON. */
      registryAuth?: string;
    },
  ): Promise<{ id: string; warnings: string[] }>;

  /** Throws `aborted` ("update out of sequence") unless `version` is the service's present one. */
  updateService(
    args: Asked & {
      id: string;
      version: number;
      spec: ServiceSpec;
      registryAuth?: string;
      /**
       * Where registryAuth is absent: keep that of the present spec, or take the previous one's.
       */
      registryAuthFrom?: 'spec' | 'previous-spec';
      /** Ignore `spec` and go back to the previous one. */
      rollback?: boolean;
    },
  ): Promise<{ warnings: string[] }>;

  removeService(args: Asked & { id: string }): Promise<void>;
  /** Has its tasks spread anew. Throws `failed-precondition` where they cannot be moved. */
  rebalanceService(args: { id: string }): Promise<void>;

  /**
   * A network of the whole swarm. Throws `already-exists` for a taken name (or for a second routing
   * mesh), `invalid-argument` for a bad spec, `failed-precondition` where no subnet is left.
   */
  createNetwork(args: { spec: NetworkSpec }): Promise<{ id: string; warning: string }>;
  /** By its id. Throws `failed-precondition` while services or tasks use it. */
  removeNetwork(args: { id: string }): Promise<void>;
  /** Removes those of the networks that nobody uses, but never the routing mesh's. */
  pruneNetworks(args: { ids: readonly string[] }): Promise<{ removed: string[] }>;

  /** Throws `already-exists` for a taken name, `invalid-argument` for a bad spec. */
  createFile(args: { kind: FileKind; spec: FileSpec }): Promise<{ id: string }>;
  /** Only labels can be changed. Throws `aborted` unless `version` is the present one. */
  updateFile(args: { kind: FileKind; id: string; version: number; spec: FileSpec }): Promise<void>;
  /**
   * Puts another content behind the name, and updates the services that use it. `data` is base64.
   * Throws `invalid-argument` for a content that is none.
   */
  reviseFile(args: Asked & { kind: FileKind; id: string; data: string }): Promise<RevisedFile>;
  /** By its id. Throws `invalid-argument` while services use it. */
  removeFile(args: { kind: FileKind; id: string }): Promise<void>;

  /**
   * A cluster volume, which its driver is then asked for. Throws `already-exists` for a taken name,
   * `invalid-argument` for a bad spec.
   */
  createVolume(args: Asked & { spec: VolumeSpec }): Promise<{ id: string }>;
  /** Only the availability can be changed. Throws `aborted` unless `version` is the present one. */
  updateVolume(
    args: Asked & { id: string; version: number; spec: ClusterVolumeSpec },
  ): Promise<void>;
  /**
   * Its driver deletes it; with `force` it is forgotten whatever the driver says. Throws
   * `failed-precondition` while it is used.
   */
  removeVolume(args: Asked & { id: string; force: boolean }): Promise<void>;

  updateNode(args: Asked & { id: string; version: number; spec: NodeSpec }): Promise<void>;
  /** Refused for a node that is not down, unless forced. */
  removeNode(args: Asked & { id: string; force: boolean }): Promise<void>;

  updateCluster(
    args: Asked & {
      version: number;
      spec: SwarmSpec;
      rotateWorkerToken: boolean;
      rotateManagerToken: boolean;
      rotateManagerUnlockKey?: boolean;
      /** Every node is to make a new key for encrypted networks. */
      rotateNetworkKeys?: boolean;
    },
  ): Promise<void>;

  /** What every node may pull with from one registry; `auth` is as in X-Registry-Auth. */
  logIn(args: { registry: string; username: string; auth: string }): Promise<void>;
  /** Throws `not-found` where there is no such login. */
  logOut(args: { registry: string }): Promise<void>;

  /** Puts a backup's specs in the place of the present ones, in one transaction. */
  restore(args: Asked & RestoreBatch): Promise<RestoreCounts>;
}
