/**
 * Owns the vocabulary that every part shares: the objects of a swarm, their specs, and how Docker's
 * JSON is read into them. Imports nothing but itself, and is pure. Read objects.ts first.
 */
export * from './autoscale.ts';
export * from './cluster-volume.ts';
export * from './codec.ts';
export * from './container.ts';
export * from './cron.ts';
export * from './depends.ts';
export * from './device-request.ts';
export * from './explanation.ts';
export * from './file-object.ts';
export * from './finding.ts';
export * from './history.ts';
export * from './image-event.ts';
export * from './log-driver.ts';
export * from './network.ts';
export * from './objects.ts';
export * from './preview.ts';
export * from './privileges.ts';
export * from './registry.ts';
export * from './slot-volumes.ts';
export * from './specs.ts';
export * from './states.ts';
export * from './task-spec.ts';
