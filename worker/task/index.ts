/**
 * Owns what a task does next, and what its container is configured with: both pure. Imports types
 * and lib, and the types of worker/image and worker/runtime. Read machine.ts first.
 */
export * from './container-config.ts';
export * from './file-content.ts';
export * from './health.ts';
export * from './log-options.ts';
export * from './machine.ts';
