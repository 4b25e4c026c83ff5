/**
 * Owns the node's side of the stream to the managers: finding one, staying in touch, taking
 * assignments, reporting statuses, sending logs. May import lib, types, gen and the executor's
 * port. Read agent.ts first, then session.ts.
 */
export { Agent, type AgentParts } from './agent.ts';
export type { KnownManager } from './manager-list.ts';
export type { ClusterState, NewsKeeper } from './news-file.ts';
export type { MeasureTasks } from './session.ts';
