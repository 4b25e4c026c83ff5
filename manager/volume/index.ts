/**
 * Owns the life of cluster volumes: what a driver is to be asked next, and why tasks wait for their
 * volumes. Pure: imports types and the store's view. Read plan.ts first.
 */
export * from './outcome.ts';
export { withoutNode } from './node-removal.ts';
export { isLost, planVolume, type VolumeCall, type VolumeEnv, type VolumePlan } from './plan.ts';
export { waitingFor } from './waiting.ts';
