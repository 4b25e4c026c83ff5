/**
 * Owns commands: validates specs in Docker's words, and is the only writer of specs. May import
 * lib, types, gen, the store's ports, the scheduler's constraints and the ca's terms. Read api.ts,
 * then control.ts; unsupported.ts lists what this version refuses.
 */
export * from './api.ts';
export { Control, type ControlModules, type ControlStore } from './control.ts';
export { LeadersControl, serveControl } from './forwarding.ts';
export { serveAttachments } from './attachment-service.ts';
export { externalAfterRoot } from './update-cluster.ts';
export { checkSwarmSpec } from './check-swarm-spec.ts';
export * from './restore.ts';
