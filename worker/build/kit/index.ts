/**
 * Owns builds by BuildKit's protocol: the sessions that clients open, and what builds have of them.
 * May import what its parent may. Read session.ts first; channel.ts is gRPC on a connection that is
 * there, file-entries.ts, ignore-file.ts and trace.ts are pure.
 */
export { SessionInput } from './input.ts';
export { BuildJobs } from './jobs.ts';
export { BuildSessions } from './sessions.ts';
export { traceReport, wordsOf } from './trace.ts';
export { TraceBuffer, type TraceUpdate } from './trace-buffer.ts';
