/** A volume, what is asked for one, and what a driver of volumes can do. */
import type { Mount } from '../../types/index.ts';

export type VolumeDriverScope = 'local' | 'global';

export interface VolumeRecord {
  readonly name: string;
  readonly driver: string;
  /** Null where a client gave none, as Docker tells it. */
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly createdAtMs: number;
  /** The container that an anonymous one was made for, which takes it along. */
  readonly owner?: string;
}

export interface Volume extends VolumeRecord {
  /** Where its content is on this host; empty where the driver tells only once it is mounted. */
  readonly mountpoint: string;
  readonly scope: VolumeDriverScope;
  /** What the driver has to tell of it. */
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface VolumeRequest {
  /** Empty: one is made up. */
  readonly name: string;
  /** Empty: that of the volume there is, or local. */
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly owner?: string;
}

export interface VolumeDriver {
  readonly name: string;
  readonly scope: VolumeDriverScope;
  /** Throws `invalid-argument` for a name or options that it does not take. */
  create(record: VolumeRecord): Promise<void>;
  remove(record: VolumeRecord): Promise<void>;
  /** Makes the content reachable for the container, and tells where it is. */
  mount(record: VolumeRecord, containerId: string): Promise<string>;
  /** `isLast`: no other container has it mounted. */
  unmount(record: VolumeRecord, containerId: string, isLast: boolean): Promise<void>;
  /** Where the content is; empty while nobody knows. */
  path(record: VolumeRecord): string;
}

/** As Docker 23 and later mark volumes that nobody has given a name. */
export const anonymousLabel = 'com.docker.volume.anonymous';

export function isAnonymous({ labels }: VolumeRecord): boolean {
  return labels !== null && Object.hasOwn(labels, anonymousLabel);
}

/** A mount as it is told of: of a volume or an image with what is known of it. */
export interface MountView {
  readonly mount: Mount;
  readonly volume?: Pick<Volume, 'name' | 'driver' | 'mountpoint'>;
  /** `path`: where it is mounted on the host while the container runs. */
  readonly image?: { readonly name: string; readonly path: string };
}
