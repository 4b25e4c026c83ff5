/** A volume as the daemon tells of it. */
import type { Client } from '../client/index.ts';

export interface WireVolume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Scope: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  /** Of a volume of the cluster's, from a CSI driver. */
  readonly ClusterVolume?: WireClusterVolume;
}

export interface WireClusterVolume {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Group?: string; readonly Availability?: string };
  readonly PublishStatus?: readonly unknown[];
  readonly Info?: { readonly VolumeID?: string };
}

/** Throws the daemon's "no such volume". */
export function findVolume(client: Client, name: string): Promise<WireVolume> {
  return client.get<WireVolume>(`/volumes/${encodeURIComponent(name)}`);
}
