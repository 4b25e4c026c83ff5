/**
 * Several hosts on one machine, for tests, benches and the quickstart.
 *
 * Owns: namespaces and cgroups that stand for hosts, the bridge between them, a private registry,
 * the images that are run on them, and the removal of all that. Imports: lib. Knows of the product
 * only its binary and its Engine API. Read lab.ts first, then host.ts; host-init.sh is what a host
 * is made of.
 */
export { Host, binary, type DaemonStart } from './host.ts';
export type { HttpResult } from './http.ts';
export type { ImageSpec } from './image.ts';
export { signal, startTicksOf, type ContainerProcess } from './processes.ts';
export { Lab, formSwarm, type LabOptions, type SwarmOptions } from './lab.ts';
export { run, runResult, type RunOptions, type RunResult } from './run.ts';
export { Service } from './service.ts';
export { sleep, until, type UntilOptions } from './until.ts';
