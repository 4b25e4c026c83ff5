/** Cluster volumes as Docker's clients see them. */
import { clusterVolumeSpec, type ClusterVolume, type Node } from '../../types/index.ts';
import type { JsonObject } from './json.ts';
import { metaJson } from './meta.ts';
import { timeText } from './time.ts';

export function clusterVolumeJson(volume: ClusterVolume): JsonObject {
  const { id, meta, spec, info, publishStatus } = volume;
  const trouble = troublesOf(volume);
  return {
    ClusterVolume: {
      ID: id,
      ...metaJson(meta),
      Spec: clusterVolumeSpec.encode(spec.cluster) as JsonObject,
      PublishStatus: publishStatus.length === 0 ? undefined : publishStatus.map(statusJson),
      Info:
        info === undefined
          ? undefined
          : {
              CapacityBytes: info.capacityBytes === 0 ? undefined : info.capacityBytes,
              VolumeContext: info.volumeContext,
              VolumeID: info.volumeId,
              AccessibleTopology: info.accessibleTopology?.map(({ segments = {} }) => ({
                Segments: segments,
              })),
            },
    },
    CreatedAt: timeText(Math.floor(meta.createdAtMs / 1000) * 1000),
    Driver: spec.driver.name ?? '',
    Labels: spec.labels,
    Mountpoint: '',
    Name: spec.name,
    Options: spec.driver.options ?? {},
    Scope: 'global',
    // Docker has no place for what went wrong: what drivers tell is what is nearest to it.
    ...(trouble === undefined ? {} : { Status: trouble }),
  };
}

function statusJson({ nodeId, state, publishContext }: ClusterVolume['publishStatus'][number]) {
  const isEmpty = publishContext === undefined || Object.keys(publishContext).length === 0;
  return {
    NodeID: nodeId,
    State: state,
    PublishContext: isEmpty ? undefined : publishContext,
  };
}

/** What its driver has failed to do, by what it was asked for. */
function troublesOf({ trouble, publishStatus, info, isRemoved }: ClusterVolume) {
  const told = new Map<string, string>();
  if (isRemoved === true) told.set('Removal', 'under way');
  if (trouble !== undefined)
    told.set('Error', `${info === undefined ? 'create' : 'delete'}: ${trouble.message}`);
  for (const { nodeId, trouble: own } of publishStatus) {
    if (own !== undefined) told.set(`Error on ${nodeId}`, own.message);
  }
  return told.size === 0 ? undefined : (Object.fromEntries(told) as JsonObject);
}

/** Docker's CSIInfo of a node's description. */
export function csiInfoJson({ description }: Pick<Node, 'description'>): JsonObject[] | undefined {
  return description?.csi?.map(({ driver, nodeId, maxVolumes, topology }) => ({
    PluginName: driver,
    NodeID: nodeId === '' ? undefined : nodeId,
    MaxVolumesPerNode: maxVolumes === 0 ? undefined : maxVolumes,
    AccessibleTopology: topology === undefined ? undefined : { Segments: topology.segments ?? {} },
  }));
}
