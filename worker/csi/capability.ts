/** What the swarm asks of a volume, in the interface's words. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  VolumeCapability_AccessMode_Mode as Mode,
  type TopologyRequirementSchema,
  type VolumeCapabilitySchema,
} from '../../gen/csi/csi_pb.js';
import type { ClusterVolumeSpec, Topology, VolumeAccessMode } from '../../types/index.ts';

const modes = {
  single: {
    none: Mode.SINGLE_NODE_WRITER,
    readonly: Mode.SINGLE_NODE_READER_ONLY,
    onewriter: Mode.SINGLE_NODE_WRITER,
    all: Mode.SINGLE_NODE_WRITER,
  },
  multi: {
    none: Mode.SINGLE_NODE_WRITER,
    readonly: Mode.MULTI_NODE_READER_ONLY,
    onewriter: Mode.MULTI_NODE_SINGLE_WRITER,
    all: Mode.MULTI_NODE_MULTI_WRITER,
  },
} as const;

export function capabilityOf(
  access: VolumeAccessMode,
): MessageInitShape<typeof VolumeCapabilitySchema> {
  const { scope, sharing, mountVolume, blockVolume } = access;
  const { fsType = '', mountFlags = [] } = mountVolume ?? {};
  return {
    accessMode: { mode: modes[scope][sharing] },
    accessType:
      blockVolume === undefined
        ? { case: 'mount', value: { fsType, mountFlags: [...mountFlags] } }
        : { case: 'block', value: {} },
  };
}

export function requirementOf({
  accessibilityRequirements,
}: ClusterVolumeSpec): MessageInitShape<typeof TopologyRequirementSchema> | undefined {
  if (accessibilityRequirements === undefined) return undefined;
  const { requisite = [], preferred = [] } = accessibilityRequirements;
  const all = (topologies: readonly Topology[]) =>
    topologies.map(({ segments = {} }) => ({ segments: { ...segments } }));
  return { requisite: all(requisite), preferred: all(preferred) };
}
