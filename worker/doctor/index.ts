/**
 * Owns the examination of a host: what is wrong with its kernel, its way to other nodes, its ports
 * and its clock, in words. May import lib and the network folder. Read doctor.ts first, then the
 * check that interests you: each is a file.
 */
export { Doctor, type DoctorParts } from './doctor.ts';
export { explainedByKernel } from './kernel.ts';
export type { PublishedPort } from './ports.ts';
export type { SwarmFacts } from './swarm.ts';
