/** Cluster volumes: storage of the whole swarm, which a CSI driver makes and nodes mount. */
import {
  integer,
  list,
  oneOf,
  optional,
  record,
  required,
  string,
  struct,
  type TypeOf,
} from './codec.ts';
import type { Meta } from './objects.ts';
import type { ContainerSpec, driver, Mount } from './task-spec.ts';

const topology = struct({ segments: optional('Segments', record(string)) });
/** Where in the world something is: `{ zone: 'z1', rack: '3' }`. */
export type Topology = TypeOf<typeof topology>;

const accessMode = struct({
  /** On how many nodes it can be used at a time. */
  scope: required('Scope', oneOf('single', 'multi'), 'single'),
  /** `onewriter`: any number of tasks, of which one may write. */
  sharing: required('Sharing', oneOf('none', 'readonly', 'onewriter', 'all'), 'none'),
  mountVolume: optional(
    'MountVolume',
    struct({
      fsType: optional('FsType', string),
      mountFlags: optional('MountFlags', list(string)),
    }),
  ),
  blockVolume: optional('BlockVolume', struct({})),
});
export type VolumeAccessMode = TypeOf<typeof accessMode>;

const availabilities = ['active', 'pause', 'drain'] as const;

/** Docker's ClusterVolumeSpec (Engine API v1.47). */
export const clusterVolumeSpec = struct({
  group: optional('Group', string),
  accessMode: optional('AccessMode', accessMode),
  accessibilityRequirements: optional(
    'AccessibilityRequirements',
    struct({
      requisite: optional('Requisite', list(topology)),
      preferred: optional('Preferred', list(topology)),
    }),
  ),
  capacityRange: optional(
    'CapacityRange',
    struct({
      /** 0: no bound, of both. */
      requiredBytes: required('RequiredBytes', integer, 0),
      limitBytes: required('LimitBytes', integer, 0),
    }),
  ),
  /** What the driver is given: keys of its own, with the swarm's secrets by id or name. */
  secrets: optional(
    'Secrets',
    list(struct({ key: required('Key', string, ''), secret: required('Secret', string, '') })),
  ),
  availability: required('Availability', oneOf(...availabilities), 'active'),
});
export type ClusterVolumeSpec = TypeOf<typeof clusterVolumeSpec>;

export interface VolumeSpec {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly driver: TypeOf<typeof driver>;
  readonly cluster: ClusterVolumeSpec;
}

/**
 * `pending-publish`: its driver is to make it reachable from the node. `published`: it has; the
 * node
 * may use it. `pending-node-unpublish`: the node is to let go of it.
 * `pending-controller-unpublish`:
 * the node has, or is lost, and the driver is to take it away from the node.
 */
export type PublishState =
  | 'pending-publish'
  | 'published'
  | 'pending-node-unpublish'
  | 'pending-controller-unpublish';

/** What failed, how often in a row, and when it is tried again. */
export interface VolumeTrouble {
  readonly message: string;
  readonly attempts: number;
  readonly retryAtMs: number;
  /** An answer failed to come: what was asked for may have been done all the same. */
  readonly isOpen?: boolean;
}

export interface PublishStatus {
  readonly nodeId: string;
  readonly state: PublishState;
  /** As the driver calls the node; kept, as the node may be gone when it is needed. */
  readonly csiNodeId: string;
  /** Tells this publication from an earlier one to the same node. */
  readonly publication: string;
  readonly publishContext?: Readonly<Record<string, string>>;
  readonly trouble?: VolumeTrouble;
  /**
   * By whose word nothing of this publication is mounted on the node any more. Absent: it may be,
   * also on a node that is not heard of.
   */
  readonly released?: 'node' | 'operator';
}

/** What the driver has told of a volume that it has made. */
export interface VolumeInfo {
  readonly volumeId: string;
  /** 0: unknown. */
  readonly capacityBytes: number;
  readonly volumeContext?: Readonly<Record<string, string>>;
  /** Where it can be reached from: one of them must be the node's. Absent: from everywhere. */
  readonly accessibleTopology?: readonly Topology[];
}

export interface ClusterVolume {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: VolumeSpec;
  /** Absent until the driver has made it. */
  readonly info?: VolumeInfo;
  readonly publishStatus: readonly PublishStatus[];
  /** It is to be deleted, and then forgotten. */
  readonly isRemoved?: boolean;
  /** It is forgotten also where its driver, once asked, has not done what it was to. */
  readonly isForced?: boolean;
  /** Why it is not made, or not deleted, yet. */
  readonly trouble?: VolumeTrouble;
}

/** What a node says of a CSI driver that it has. */
export interface CsiInfo {
  readonly driver: string;
  /** As the driver calls the node; empty where it serves no nodes. */
  readonly nodeId: string;
  /** 0: no bound. */
  readonly maxVolumes: number;
  readonly topology?: Topology;
  /** It makes volumes, and publishes them to nodes. */
  readonly isController: boolean;
}

/** The volume that the scheduler has chosen for a mount of a task. */
export interface VolumeAttachment {
  readonly id: string;
  /** As the mount has it: a name, or `group:<name>`. */
  readonly source: string;
  readonly target: string;
  readonly isWriter: boolean;
}

/** A volume as a node is given it once it is published there. */
export interface AssignedVolume {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly volumeId: string;
  readonly publication: string;
  readonly accessMode: VolumeAccessMode;
  readonly volumeContext: Readonly<Record<string, string>>;
  readonly publishContext: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** What the managers ask of a driver's controller, by way of a node that has it. */
export type CsiRequest =
  | {
      readonly method: 'create';
      readonly driver: string;
      readonly name: string;
      readonly spec: ClusterVolumeSpec;
      readonly parameters: Readonly<Record<string, string>>;
      readonly secrets: Readonly<Record<string, string>>;
    }
  | {
      readonly method: 'delete';
      readonly driver: string;
      readonly volumeId: string;
      readonly secrets: Readonly<Record<string, string>>;
    }
  | {
      readonly method: 'publish';
      readonly driver: string;
      readonly volumeId: string;
      readonly csiNodeId: string;
      readonly accessMode: VolumeAccessMode;
      readonly volumeContext: Readonly<Record<string, string>>;
      readonly secrets: Readonly<Record<string, string>>;
    }
  | {
      readonly method: 'unpublish';
      readonly driver: string;
      readonly volumeId: string;
      readonly csiNodeId: string;
      readonly secrets: Readonly<Record<string, string>>;
    };

/** What came of it: `info` of a creation, `publishContext` of a publication. */
export interface CsiReply {
  /**
   * Of the end of a publication: the driver has kept the node from the volume, whatever it does.
   */
  readonly isFenced?: boolean;
  readonly info?: VolumeInfo;
  readonly publishContext?: Readonly<Record<string, string>>;
}

export const groupPrefix = 'group:';

/** The mounts of a container that are cluster volumes. */
export function clusterMountsOf(container: ContainerSpec | undefined): readonly Mount[] {
  const mounts = container?.mounts;
  return mounts === undefined ? none : mounts.filter(({ type }) => type === 'cluster');
}

const none: readonly Mount[] = [];

/** The mode of a spec that is good. */
export function accessModeOf({ accessMode: mode }: ClusterVolumeSpec): VolumeAccessMode {
  return mode ?? { scope: 'single', sharing: 'none' };
}

/**
 * Two nodes at once would harm it: a node that may still have it mounted has to be out of the way
 * before another one is let in.
 */
export function isExclusive({ cluster }: VolumeSpec): boolean {
  const { scope, sharing } = accessModeOf(cluster);
  return scope === 'single' || sharing === 'none' || sharing === 'onewriter';
}

/** The node lies in the topology: every segment is the node's. */
export function liesIn(node: Topology | undefined, { segments = {} }: Topology): boolean {
  return Object.entries(segments).every(([key, value]) => node?.segments?.[key] === value);
}
