/**
 * raft-ts: consensus as a pure state machine (core), the durable log below it (log), and what
 * drives the one on the other (node). Knows nothing of swarm and imports nothing outside this
 * folder. Read README.md first, then core/index.ts.
 */
export * from './core/index.ts';
export * from './defaults.ts';
export * from './log/index.ts';
export * from './node/index.ts';
