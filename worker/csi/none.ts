import { SwarmError } from '../../lib/errors.ts';
import type { ClusterVolumes } from './cluster-volumes.ts';

export type TaskVolumes = Pick<
  ClusterVolumes,
  'adopt' | 'assign' | 'connect' | 'disconnect' | 'onReleased' | 'settled'
>;

/** Of a host that has no place for cluster volumes. */
export const noClusterVolumes: TaskVolumes = {
  adopt: () => undefined,
  assign: () => undefined,
  async connect(_containerId, mounts, attachments) {
    if (attachments.length === 0) return { mounts, devices: [] };
    throw new SwarmError('unimplemented', 'this node has no place for cluster volumes');
  },
  disconnect: () => undefined,
  onReleased: () => ({ [Symbol.dispose]: () => undefined }),
  settled: async () => undefined,
};
