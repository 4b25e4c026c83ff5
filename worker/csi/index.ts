/**
 * Owns drivers of storage in the Container Storage Interface, as far as this host is concerned:
 * which there are, what managers ask of their controllers, and the cluster volumes mounted here.
 * Imports lib, types, gen, and its siblings in worker. Read drivers.ts first, then
 * cluster-volumes.ts.
 */
export { callController } from './controller.ts';
export {
  ClusterVolumes,
  type ClusterVolumesDeps,
  type ConnectedVolumes,
  type VolumeAssignments,
} from './cluster-volumes.ts';
export { CsiDrivers, csiFolder } from './drivers.ts';
export { noClusterVolumes, type TaskVolumes } from './none.ts';
