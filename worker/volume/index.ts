/**
 * Owns volumes: what outlives the containers that it is mounted in. Imports lib, types and its
 * siblings in worker. Read volume.ts first, the words; then volumes.ts, which keeps them and
 * connects containers with them; local/ is Docker's own driver.
 */
export type { ImageContent } from './image-content.ts';
export * from './volume.ts';
export { isMountLayer } from './parts.ts';
export { openVolumes, prepareVolumes } from './open.ts';
export { Volumes, type VolumeUser, type VolumesDeps } from './volumes.ts';
export type { VolumeEvent } from './volume-events.ts';
